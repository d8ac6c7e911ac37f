"""One process's side of one limit: the lease in hand, what of it is set aside, and what the traffic needs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import uuid4

from outlay.budgets.budget import Budget, Scope, Unit
from outlay.budgets.lease import Grant, Renewal
from outlay.model import Cost, Usage

_PACE_KEPT: Final = 0.7
"""What is left of a pace after one more second without a call."""
_CARRIED_S: Final = 5
"""A process holds this many seconds of its traffic at worst; what is more it hands back."""
_IDLE_S: Final = 10
_AHEAD_CALLS: Final = 3
NEAR_CALLS: Final = _AHEAD_CALLS + 1
"""A lease with room for fewer calls may have to be asked for more, once one of them is taken."""
_UNTOLD_SHARE: Final = 500
"""A process that has spent more than one part in so many of what is left reports it at once."""
_AHEAD_S: Final = 0.25


@dataclass(slots=True, eq=False)
class Holding:
    """One lease in hand. Its totals only grow; `reserved` is what calls in flight have set aside."""

    usable_until: float
    lease: str = field(default_factory=lambda: uuid4().hex)
    granted: int = 0
    returned: int = 0
    settled: int = 0
    reserved: int = 0
    told: int = 0
    """How much of what was settled the collector has been sent."""

    @property
    def available(self) -> int:
        return self.granted - self.returned - self.settled - self.reserved

    def renewal(self, *, keep: bool, spare: int) -> Renewal:
        """What to tell the collector of this lease, `spare` more handed back."""
        self.returned += max(0, spare)
        return Renewal(lease=self.lease, returned=self.returned, keep=keep)


@dataclass(slots=True, eq=False)
class Account:
    """A budget's limit for one scope, as this process sees it. `standing` is what the collector said last."""

    budget: Budget
    scope: Scope
    holding: Holding = field(default_factory=lambda: Holding(usable_until=float("-inf")))
    standing: Grant | None = None
    refused: int = 0
    """The need the collector had no room for, and until when there is no point in asking again."""
    refused_until: float = float("-inf")
    asked_ahead_until: float = float("-inf")
    """Until when the background need not be woken again to ask for more."""
    asking: threading.Lock = field(default_factory=threading.Lock)
    reserved: int = 0
    """Set aside since the last look, settled since or not: whether there is any traffic."""
    settled: int = 0
    """What calls cost since the last look: what the size of its lease follows, for what a call does not cost of its
    worst case is free for the next."""
    pace: float = 0.0
    idle_s: int = 0

    @property
    def target(self) -> int:
        """What this account's traffic needs in hand beside what its calls in flight have set aside."""
        carried, said = int(self.pace * _CARRIED_S), self.standing
        return carried if said is None or said.share is None else min(carried, said.share)

    @property
    def is_idle(self) -> bool:
        return self.idle_s >= _IDLE_S

    @property
    def runs_short(self) -> bool:
        return not self.is_idle and self.holding.available < self.target // 2

    def follow(self) -> bool:
        """Once a second: take note of the traffic, and set aside what it does not need. True where that is something:
        the next renewal hands it back."""
        self.pace = max(self.settled, self.pace * _PACE_KEPT)
        self.idle_s = 0 if self.reserved or self.holding.reserved else self.idle_s + 1
        self.reserved = self.settled = 0
        spare = self.holding.available - (0 if self.is_idle else self.target)
        if spare <= (0 if self.is_idle else self.target):
            return False
        self.holding.returned += spare
        return spare > 0

    @property
    def is_pressed(self) -> bool:
        """Whether what was settled since the last report matters beside what the limit has left: it would be lost with
        the process, and its spans may come first and be counted beside it."""
        untold, said = self.holding.settled - self.holding.told, self.standing
        return said is not None and untold * _UNTOLD_SHARE > said.limit - said.spent

    def room(self, now: float) -> int:
        """What is left of the lease in hand; less than nothing where it has ended."""
        held = self.holding
        return held.granted - held.returned - held.settled - held.reserved if now < held.usable_until else -1

    def has_room(self, amount: int, now: float) -> bool:
        return self.room(now) >= amount

    def asks_ahead(self, amount: int, now: float) -> bool:
        """Whether the lease will soon be too small for calls of this amount, and nobody was told lately."""
        if self.holding.available >= _AHEAD_CALLS * amount or now < self.asked_ahead_until:
            return False
        self.asked_ahead_until = now + _AHEAD_S
        return True

    def is_refused(self, amount: int, now: float) -> bool:
        return now < self.refused_until and amount >= self.refused

    def has_known_room(self, amount: int) -> bool:
        """Whether the call fits into what the collector last said was free, leased to this process or not."""
        said = self.standing
        return said is not None and self.holding.available + max(0, said.limit - said.spent - said.leased) >= amount


class Demand(NamedTuple):
    """The worst case of one call on one account."""

    account: Account
    amount: int


class Held(NamedTuple):
    """What a call has set aside of one lease."""

    account: Account
    holding: Holding
    amount: int


def charge(held: Held, cost: Cost | None, usage: Usage | None) -> int:
    """What a call that has ended costs its budget. A count nobody knows stays at the worst case."""
    unit: Unit = held.account.budget.limit.unit
    if unit == "calls":
        return held.amount
    if cost is None:
        return 0
    if unit == "usd":
        return held.amount if cost.nano_usd is None else cost.nano_usd
    known = [] if usage is None else [n for n in (usage.input_tokens, usage.output_tokens) if n is not None]
    return sum(known) if known else held.amount
