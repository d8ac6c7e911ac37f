"""The budgets of one process: what it holds of each lease, what its calls in flight have set aside, what they cost.

Bookkeeping under one lock, with no network and no clock of its own: `now` is seconds on a clock that never jumps. A
call reserves from all the budgets that cover it or from none. Every reservation ends in exactly one settlement; one
that the application lost is settled at its worst case, because what it cost is not known.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import uuid4

from outlay.budgets.budget import Budget, Scope, Unit
from outlay.budgets.gate import SpanKey
from outlay.budgets.lease import Grant, Renewal, Settlement
from outlay.model import Cost, Usage

_PACE_KEPT: Final = 0.7
"""What is left of a pace after one more second without a call."""
_CARRIED_S: Final = 5
"""A process holds this many seconds of its traffic at worst; what is more it hands back."""
_IDLE_S: Final = 10
_ACCOUNTS_KEPT: Final = 10_000
_UNSENT_KEPT: Final = 50_000


@dataclass(slots=True, eq=False)
class Holding:
    """One lease in hand. Its totals only grow; `reserved` is what calls in flight have set aside."""

    usable_until: float
    lease: str = field(default_factory=lambda: uuid4().hex)
    granted: int = 0
    returned: int = 0
    settled: int = 0
    reserved: int = 0

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
    asking: threading.Lock = field(default_factory=threading.Lock)
    reserved: int = 0
    """Set aside since the last look, settled since or not: what the size of its lease follows."""
    pace: float = 0.0
    idle_s: int = 0

    @property
    def target(self) -> int:
        """The lease this account's traffic needs."""
        return int(self.pace * _CARRIED_S)

    def has_room(self, amount: int, now: float) -> bool:
        return self.holding.available >= amount and now < self.holding.usable_until

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


class HeldReservation:
    """Room set aside for one call, on every budget that covers it."""

    __slots__ = ("_ledger", "at_ns", "held")

    def __init__(self, ledger: Ledger, held: list[Held], at_ns: int) -> None:
        self._ledger = ledger
        self.held = held
        self.at_ns = at_ns

    def settle(self, cost: Cost | None, usage: Usage | None = None, span: SpanKey | None = None) -> None:
        self._ledger.settle(self, cost, usage, span)

    def __del__(self) -> None:
        if self.held:  # no lock here: this may run while the same thread holds it
            self._ledger.lost.append((self.held, self.at_ns))


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


class Ledger:
    """Every account of the process. Safe to use from any thread."""

    def __init__(self, holder: str) -> None:
        self.holder = holder
        self.lost: deque[tuple[list[Held], int]] = deque()
        self._lock = threading.Lock()
        self._accounts: dict[tuple[str, Scope], Account] = {}
        self._budgets: tuple[Budget, ...] = ()
        self._numbers = itertools.count()
        self._pending: list[tuple[str, int, int, SpanKey | None]] = []
        self._unsent: list[Settlement] = []
        self._retired: list[Holding] = []
        self._has_returned = False

    @property
    def budgets(self) -> tuple[Budget, ...]:
        return self._budgets

    def abandon(self) -> None:
        """After a fork, in the child: these leases are the parent's. What still ends here is told to nobody."""
        self._lock = threading.Lock()  # the parent may have held the other one
        self._accounts = {}

    def define(self, budgets: Iterable[Budget]) -> None:
        """Replace the definitions. Where only a limit or a policy changed, what is held stays held; else it goes
        back with the next renewal."""
        with self._lock:
            self._budgets = tuple(budgets)
            defined = {budget.name: budget for budget in self._budgets}
            kept = {}
            for key, account in self._accounts.items():
                budget = defined.get(key[0])
                if budget is not None and budget.counts_like(account.budget):
                    account.budget = budget
                    kept[key] = account
                else:
                    self._retired.append(account.holding)
            self._accounts = kept

    def covering(self, call: Mapping[str, str | None]) -> list[Account]:
        """The accounts a call of these dimensions draws on."""
        accounts = []
        for budget in self._budgets:
            scope = budget.scope_of(call)
            if scope is not None:
                account = self._accounts.get((budget.name, scope))
                if account is None:
                    with self._lock:
                        account = self._accounts.setdefault((budget.name, scope), Account(budget, scope))
                accounts.append(account)
        return accounts

    def take(self, demands: Sequence[Demand], now: float, at_ns: int) -> HeldReservation | Demand:
        """Reserve all of the demands or nothing: then the answer is the first that found too little in hand."""
        if self.lost:
            self.settle_lost()
        with self._lock:
            for demand in demands:
                if not demand.account.has_room(demand.amount, now):
                    return demand
            return self._hold(demands, at_ns)

    def take_unreached(self, demands: Sequence[Demand], now: float, at_ns: int) -> HeldReservation | Demand:
        """Reserve while the collector cannot be asked, as each budget's `when_unreachable` says."""
        with self._lock:
            held = []
            for demand in demands:
                account, policy = demand.account, demand.account.budget.when_unreachable
                if account.has_room(demand.amount, now) or (
                    policy == "last_known" and account.has_known_room(demand.amount)
                ):
                    held.append(demand)
                elif policy != "open":
                    return demand
            return self._hold(held, at_ns)

    def _hold(self, demands: Iterable[Demand], at_ns: int) -> HeldReservation:
        held = []
        for account, amount in demands:
            account.holding.reserved += amount
            account.reserved += amount
            held.append(Held(account, account.holding, amount))
        return HeldReservation(self, held, at_ns)

    def settle(
        self, reservation: HeldReservation, cost: Cost | None, usage: Usage | None, span: SpanKey | None
    ) -> None:
        """End a reservation: what was set aside is free again, what it is charged is gone. Only a first end counts."""
        with self._lock:
            held, reservation.held = reservation.held, []
            for each in held:
                self._charge(each, charge(each, cost, usage), reservation.at_ns, span)

    def _charge(self, held: Held, amount: int, at_ns: int, span: SpanKey | None) -> None:
        held.holding.reserved -= held.amount
        held.holding.settled += amount
        if amount:
            self._pending.append((held.holding.lease, amount, at_ns, span))

    def settle_lost(self) -> None:
        """Settle at the worst case what the application dropped without an end."""
        while True:
            try:
                held, at_ns = self.lost.popleft()
            except IndexError:
                return
            with self._lock:
                for each in held:
                    self._charge(each, each.amount, at_ns, None)

    def open_lease(self, account: Account, now: float) -> Holding:
        """The lease to ask more for: the one in hand, or a new one where that has run out."""
        with self._lock:
            if now >= account.holding.usable_until and account.holding.granted:
                account.holding = Holding(usable_until=float("-inf"))
            return account.holding

    def granted(self, grant: Grant, sent_at: float) -> None:
        """Take in what the collector answered to an ask sent at `sent_at`."""
        with self._lock:
            account = self._accounts.get((grant.budget, tuple(grant.scope)))
            if account is not None:
                account.standing = grant
                if account.holding.lease == grant.lease:
                    account.holding.granted = max(account.holding.granted, grant.granted)
                    account.holding.usable_until = sent_at + grant.expires_in_s

    def renewed(self, expires_in_s: Mapping[str, float], asked: Iterable[str], sent_at: float) -> None:
        """Take in which leases live on; one that was asked about and is not among them is gone."""
        asked = set(asked)
        with self._lock:
            for account in self._accounts.values():
                holding = account.holding
                if holding.lease in asked:
                    holding.usable_until = sent_at + expires_in_s.get(holding.lease, float("-inf"))

    def look(self) -> list[Account]:
        """Once a second: follow each account's traffic, set aside what it does not need, to be handed back with its
        next renewal, and say which accounts are soon in need of more."""
        short = []
        with self._lock:
            for account in self._accounts.values():
                holding = account.holding
                account.pace = max(account.reserved, account.pace * _PACE_KEPT)
                account.idle_s = 0 if account.reserved or holding.reserved else account.idle_s + 1
                account.reserved = 0
                idle = account.idle_s >= _IDLE_S
                spare = holding.available - (0 if idle else account.target)
                if spare > 0 and (idle or spare > account.target):
                    holding.returned += spare
                    self._has_returned = True
                elif not idle and holding.available < account.target // 2:
                    short.append(account)
        return short

    @property
    def has_news(self) -> bool:
        """Whether there is something the collector should hear of soon."""
        return bool(self._pending or self._unsent or self._retired or self._has_returned)

    def renewals(self, *, last: bool = False) -> list[Renewal]:
        """Every lease with what it hands back; idle ones, and all of them at the `last`, are not kept."""
        with self._lock:
            self._has_returned = False
            renewals = [holding.renewal(keep=False, spare=holding.available) for holding in self._retired]
            self._retired = []
            for account in self._accounts.values():
                holding = account.holding
                if not holding.granted:
                    continue
                keep = not last and account.idle_s < _IDLE_S
                renewals.append(holding.renewal(keep=keep, spare=holding.available if last else 0))
                if not keep:
                    account.holding = Holding(usable_until=float("-inf"))
            if len(self._accounts) > _ACCOUNTS_KEPT:
                self._accounts = {key: account for key, account in self._accounts.items() if account.idle_s < _IDLE_S}
        return renewals

    def unsent(self) -> list[Settlement]:
        """Takes the settlements that have to be sent. Give them back with `put_back` where they could not be."""
        with self._lock:
            unsent, self._unsent = self._unsent, []
            pending, self._pending = self._pending, []
        return unsent + [self._settlement(*each) for each in pending]

    def _settlement(self, lease: str, amount: int, at_ns: int, span: SpanKey | None) -> Settlement:
        trace_id, span_id = span or (None, None)
        number = f"{self.holder}:{next(self._numbers)}"
        return Settlement(id=number, lease=lease, amount=amount, at_ns=at_ns, trace_id=trace_id, span_id=span_id)

    def put_back(self, settlements: list[Settlement]) -> None:
        """Keep them for later. Beyond a bound one sum a lease is kept: no amount is lost, but the calls' spans will
        count beside it."""
        if len(settlements) > _UNSENT_KEPT:
            sums: dict[str, int] = {}
            for each in settlements:
                sums[each.lease] = sums.get(each.lease, 0) + each.amount
            settlements = [
                self._settlement(lease, amount, settlements[0].at_ns, None) for lease, amount in sums.items()
            ]
        with self._lock:
            self._unsent = settlements + self._unsent
