"""A rule as it is written, and a reader that says what a test has it say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from outlay_alerts.config import read_rules
from outlay_alerts.measurements import BudgetState, LimitState, Match, Measurement, Window
from outlay_alerts.rules import Rule

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@dataclass
class Plain:
    """A reader that answers a window with the measurements listed for its start."""

    by_start: dict[datetime, Sequence[Measurement]] = field(default_factory=dict)
    anywhere: Sequence[Measurement] = ()
    budget_states: Sequence[BudgetState] = ()
    limit_states: Sequence[LimitState] = ()
    asked: list[tuple[Window, tuple[str, ...], Match]] = field(default_factory=list)

    def measure(self, window: Window, group_by: Sequence[str], match: Match) -> Sequence[Measurement]:
        self.asked.append((window, tuple(group_by), dict(match)))
        return self.by_start.get(window.start, self.anywhere)

    def budgets(self, now: datetime) -> Sequence[BudgetState]:
        return self.budget_states

    def limits(self, now: datetime) -> Sequence[LimitState]:
        return self.limit_states


def rule(kind: str, **keys: Any) -> Rule:
    return read_rules([{"name": "r", "kind": kind, **keys}], "outlay.toml")[0]
