"""What budgets would have done to calls that were made: pure, from the calls in the order they began.

Each call is let through at what it truly cost or not at all; one that is stopped draws on no budget. The real thing
holds a call's worst case while it runs, so close to a limit it may stop a call or two more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from outlay.budgets.budget import Budget, Scope
from outlay.budgets.period import Window

from outlay_collector.periods import from_ns, to_ns


@dataclass(frozen=True, slots=True)
class PastCall:
    """A call in the words of budgets. What is unknown is None, and draws on no budget that counts it."""

    at_ns: int
    dimensions: Mapping[str, str | None]
    cost_nano_usd: int | None
    tokens: int | None

    def amount(self, budget: Budget) -> int:
        unit = budget.limit.unit
        return 1 if unit == "calls" else (self.cost_nano_usd if unit == "usd" else self.tokens) or 0


@dataclass(slots=True)
class Stopped:
    """The calls one scope of a budget would have stopped. `cost_nano_usd` is what they cost as far as it is known."""

    budget: Budget
    scope: Scope
    first_at_ns: int
    calls: int = 0
    cost_nano_usd: int = 0


class _Spend:
    """What one scope of a budget had spent in the window around a moment; moments only rise."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._window: Window | None = None
        self._amounts: deque[tuple[int, int]] = deque()
        self.total = 0

    def move_to(self, at_ns: int) -> None:
        window = self._window
        if window is None or window.end is None or at_ns >= to_ns(window.end):
            window = self._window = self._budget.window(from_ns(at_ns))
        start = to_ns(window.start)
        while self._amounts and self._amounts[0][0] < start:
            self.total -= self._amounts.popleft()[1]

    def add(self, at_ns: int, amount: int) -> None:
        self._amounts.append((at_ns, amount))
        self.total += amount


def simulate(budgets: Sequence[Budget], calls: Iterable[PastCall]) -> list[Stopped]:
    """By budget and scope, what the blocking ones among `budgets` would have stopped, most first. A call several would
    have stopped counts for the first of them."""
    blocking = [budget for budget in budgets if budget.on_limit == "block"]
    spends: dict[tuple[str, Scope], _Spend] = {}
    stopped: dict[tuple[str, Scope], Stopped] = {}
    for call in calls:
        drawn = []
        for budget in blocking:
            scope, amount = budget.scope_of(call.dimensions), call.amount(budget)
            if scope is None or not amount:
                continue
            spend = spends.setdefault((budget.name, scope), _Spend(budget))
            spend.move_to(call.at_ns)
            if spend.total + amount > budget.limit.amount:
                found = stopped.setdefault((budget.name, scope), Stopped(budget, scope, call.at_ns))
                found.calls += 1
                found.cost_nano_usd += call.cost_nano_usd or 0
                break
            drawn.append((spend, amount))
        else:
            for spend, amount in drawn:
                spend.add(call.at_ns, amount)
    return sorted(stopped.values(), key=lambda each: (-each.cost_nano_usd, -each.calls, each.budget.name, each.scope))
