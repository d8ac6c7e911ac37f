"""How every budget stands: spent, lent, held back, and where its spend is going."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from outlay.budgets.budget import Budget, Scope, scope_key
from outlay.budgets.period import Window
from sqlalchemy import Connection, Engine

from outlay_collector.periods import from_ns, to_ns
from outlay_collector.store import leases
from outlay_collector.store.budgets import Standing, standings_in
from outlay_collector.store.definitions import Definition, definitions
from outlay_collector.store.engine import reading
from outlay_collector.store.refusals import HeldBack, held_back

_PACE_SHARE: Final = 24
"""The pace is that of the last 24th of a window: an hour of a day, a day and six hours of a month."""
_TOO_EARLY: Final = 1_440
"""In the first 1,440th of a window, a minute of a day, there is no pace yet."""
_FURTHEST: Final = timedelta(days=3_660)


@dataclass(frozen=True, slots=True)
class Projection:
    """Where a scope is going at its present pace. `amount` is what it will have spent when the window ends, for a
    rolling one what a whole window of that pace is. `exhausts_at` is None where the limit is not reached in it."""

    amount: int
    exhausts_at: datetime | None


@dataclass(frozen=True, slots=True)
class BudgetState:
    """How one scope of a budget stands in its current window. Amounts are in the budget's unit."""

    definition: Definition
    scope: Scope
    window: Window
    spent: int
    leased: int
    refused: bool
    """Whether an ask found too little in this window, and would still."""
    projection: Projection | None = None
    """None where there is too little to go by."""
    held_back: HeldBack = field(default_factory=HeldBack)

    @property
    def budget(self) -> Budget:
        """As it is in force."""
        return self.definition.in_force

    @property
    def remaining(self) -> int:
        return max(0, self.budget.limit.amount - self.spent - self.leased)

    @property
    def state(self) -> Literal["ok", "warning", "exhausted"]:
        limit = self.budget.limit.amount
        if self.spent >= limit or self.refused:
            return "exhausted"
        return "warning" if any(self.spent >= share * limit for share in self.budget.thresholds) else "ok"


def budget_states(engine: Engine, now_ns: int, name: str | None = None) -> list[BudgetState]:
    """Every budget, or the one of that name, in its window around now: one state a scope anything stands against, one
    anyway for a budget that all share."""
    with reading(engine) as connection:
        return [
            state
            for definition in definitions(connection, now_ns)
            if name in (None, definition.budget.name)
            for state in _states(connection, definition, now_ns)
        ]


def project(budget: Budget, window: Window, spent: int, recent: int, recently: timedelta, now: datetime) -> Projection:
    """`recent` was spent in the last `recently`, `spent` in the whole window so far. Pure."""
    left, limit = budget.limit.amount - spent, budget.limit.amount
    times = min(left / recent, _FURTHEST / recently) if recent and left > 0 else _FURTHEST / recently
    exhausts_at = now + recently * times
    if window.end is None:
        amount = round(recent * ((now - window.start) / recently))
        return Projection(amount, exhausts_at if amount > limit and left > 0 else None)
    amount = spent + round(recent * ((window.end - now) / recently))
    return Projection(amount, exhausts_at if left > 0 and exhausts_at < window.end else None)


def _states(connection: Connection, definition: Definition, now_ns: int) -> list[BudgetState]:
    budget = definition.in_force
    now = from_ns(now_ns)
    window = budget.window(now)
    recently = _recently(window, now)
    found, recent = standings_in(connection, budget, [window, Window(now - recently, window.end)], now_ns)
    held = held_back(connection, budget.name, window)
    for scope in held if budget.per else ((),):
        found.setdefault(scope, Standing())
    refusals = leases.refusals(connection, budget.name, to_ns(window.start))
    projections = _projections(budget, window, found, recent, recently, now)
    states = []
    for scope, standing in sorted(found.items(), key=lambda item: (-item[1].spent, item[0])):
        room = budget.limit.amount - standing.spent - standing.leased
        refused = budget.on_limit == "block" and refusals.get(scope_key(scope), 0) > room
        state = BudgetState(
            definition=definition,
            scope=scope,
            window=window,
            spent=standing.spent,
            leased=standing.leased,
            refused=refused,
            projection=projections.get(scope),
            held_back=held.get(scope, HeldBack()),
        )
        states.append(state)
    return states


def _recently(window: Window, now: datetime) -> timedelta:
    """How much of the window's end the pace is taken from."""
    return min(((window.end or now) - window.start) / _PACE_SHARE, now - window.start)


def _projections(
    budget: Budget,
    window: Window,
    found: Mapping[Scope, Standing],
    recent: Mapping[Scope, Standing],
    recently: timedelta,
    now: datetime,
) -> dict[Scope, Projection]:
    if recently < ((window.end or now) - window.start) / _TOO_EARLY:
        return {}
    if not any(standing.spent for standing in found.values()):
        return {}
    return {
        scope: project(budget, window, standing.spent, recent.get(scope, Standing()).spent, recently, now)
        for scope, standing in found.items()
    }
