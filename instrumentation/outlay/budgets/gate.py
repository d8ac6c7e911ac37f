"""The seam between a call and the budgets: ask before it is sent, say what it cost once it has ended.

`intercept` knows only this protocol. What stands behind it (no budgets at all, budgets learnt from a collector,
leases) is chosen once, in `instrument()`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from outlay.model import Attribution, Cost, Usage
from outlay.providers.base import Request

SpanKey = tuple[str, str]
"""Trace id and span id of a call's span, lower-case hex: 32 and 16 digits."""


class Reservation(Protocol):
    """Room set aside for one call. Settled exactly once, however the call ended."""

    def settle(self, cost: Cost | None, usage: Usage | None = None, span: SpanKey | None = None) -> None:
        """Replace the worst case by the true cost. None: the call is known to have cost nothing.

        `usage` is what budgets that count tokens are charged; without it they keep the worst case. `span` names the
        span the call is reported by, so that the collector counts the settlement and the span once; without it both
        count until the window ends: too much, never too little.
        """


@dataclass(frozen=True, slots=True)
class Asking:
    """What a call holds that has to wait for the collector. `ask` blocks, for a second or two at most, and gives what
    it holds then; it raises `BudgetExceeded`. Any thread may call it, once."""

    ask: Callable[[], Reservation]

    def settle(self, cost: Cost | None, usage: Usage | None = None, span: SpanKey | None = None) -> None:
        """Nobody asked: nothing is held."""


class Gate(Protocol):
    """Decides whether a call may be sent. Called on the application's own time: no network while a lease is in hand."""

    def begin(self, provider: str, request: Request, attribution: Attribution) -> Reservation | Asking:
        """Set the worst case of this call aside, at once and without network; where a lease is too small, what has to
        be asked first. Raises `BudgetExceeded` where a hard budget is known to have no room."""


class _Free:
    def settle(self, cost: Cost | None, usage: Usage | None = None, span: SpanKey | None = None) -> None:
        pass


class OpenGate:
    """No budgets: every call may pass."""

    def begin(self, provider: str, request: Request, attribution: Attribution) -> Reservation:
        return FREE


FREE: Final[Reservation] = _Free()
"""What a call holds that no budget covers: nothing waits for it to be settled."""
