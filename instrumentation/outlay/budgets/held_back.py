"""Calls that were held back, counted until the collector has been told.

An application that tries on and on is held back many times a second: calls of one kind become one line.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from typing import Final, NamedTuple

from outlay.budgets.budget import Scope
from outlay.budgets.lease import Refusal
from outlay.errors import RefusalReason

_LINES_KEPT: Final = 1_000


class Kind(NamedTuple):
    """What calls have in common that were held back alike."""

    budget: str
    scope: Scope
    reason: RefusalReason
    provider: str
    model: str | None
    service: str | None
    feature: str | None
    user: str | None


@dataclass(slots=True)
class _Line:
    at_ns: int
    calls: int = 0
    avoided_nano_usd: int | None = 0


class HeldBack:
    """What one process held back and has not told. Safe to use from any thread."""

    def __init__(self, holder: str) -> None:
        self._holder = holder
        self._lock = threading.Lock()
        self._lines: dict[Kind, _Line] = {}
        self._untold: list[Refusal] = []
        self._numbers = itertools.count()

    @property
    def is_empty(self) -> bool:
        return not (self._lines or self._untold)

    def note(self, kind: Kind, nano_usd: int | None, at_ns: int) -> None:
        """One call, and its worst case; None where its model has no price."""
        with self._lock:
            if kind not in self._lines and len(self._lines) >= _LINES_KEPT:
                kind = kind._replace(model=None, service=None, feature=None, user=None)
            line = self._lines.setdefault(kind, _Line(at_ns))
            line.calls += 1
            if nano_usd is None or line.avoided_nano_usd is None:
                line.avoided_nano_usd = None
            else:
                line.avoided_nano_usd += nano_usd

    def take(self) -> list[Refusal]:
        """What has to be told. Give it back with `put_back` where it could not be."""
        with self._lock:
            lines, self._lines = self._lines, {}
            untold, self._untold = self._untold, []
        return untold + [
            Refusal(
                id=f"{self._holder}:{next(self._numbers)}",
                **{**kind._asdict(), "scope": list(kind.scope)},
                calls=line.calls,
                avoided_nano_usd=line.avoided_nano_usd,
                at_ns=line.at_ns,
            )
            for kind, line in lines.items()
        ]

    def put_back(self, refusals: list[Refusal]) -> None:
        """Keep them for later; the oldest are dropped beyond a bound, for they are news and no money."""
        with self._lock:
            self._untold = (refusals + self._untold)[-_LINES_KEPT:]
