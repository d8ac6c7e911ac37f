"""The seam between a call and the budgets: ask before it is sent, say what it cost once it has ended.

`intercept` knows only this protocol. What stands behind it (no budgets at all, budgets learnt from a collector,
leases) is chosen once, in `instrument()`.
"""

from __future__ import annotations

from typing import Protocol

from outlay.model import Attribution, Cost
from outlay.providers.base import Request


class Reservation(Protocol):
    """Room set aside for one call. Settled exactly once, however the call ended."""

    def settle(self, cost: Cost | None) -> None:
        """Replace the worst case by the true cost. None: the call is known to have cost nothing."""


class Gate(Protocol):
    """Decides whether a call may be sent. Called on the application's own time: no network, no lock held for long."""

    def reserve(self, provider: str, request: Request, attribution: Attribution) -> Reservation:
        """Set the worst case of this call aside. Raises `BudgetExceeded` where a hard budget has no room for it."""


class _Free:
    def settle(self, cost: Cost | None) -> None:
        pass


class OpenGate:
    """No budgets: every call may pass."""

    def reserve(self, provider: str, request: Request, attribution: Attribution) -> Reservation:
        return _FREE


_FREE = _Free()
