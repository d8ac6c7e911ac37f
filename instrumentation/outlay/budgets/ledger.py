"""The budgets of one process: what it holds of each lease, what its calls in flight have set aside, what they cost.

Bookkeeping under one lock, with no network and no clock of its own: `now` is seconds on a clock that never jumps. A
call reserves from all the budgets that cover it or from none. Every reservation ends in exactly one settlement; one
that the application lost is settled at its worst case, because what it cost is not known.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from outlay.budgets.account import NEAR_CALLS, Account, Demand, Held, Holding, charge
from outlay.budgets.budget import Budget, Scope
from outlay.budgets.coverage import Coverage
from outlay.budgets.gate import SpanKey
from outlay.budgets.lease import Grant, Renewal, Settlement
from outlay.model import Cost, Usage

_ACCOUNTS_KEPT: Final = 10_000
_UNSENT_KEPT: Final = 50_000


class HeldReservation:
    """Room set aside for one call, on every budget that covers it. `learn` is told once what the call, of which
    `thought` is what was thought of it, really came to."""

    __slots__ = ("_ledger", "at_ns", "held", "learn", "thought")

    def __init__(self, ledger: Ledger, held: list[Held], at_ns: int) -> None:
        self._ledger = ledger
        self.held = held
        self.at_ns = at_ns
        self.learn: Callable[[Any, Cost | None, Usage | None], None] | None = None
        self.thought: Any = None

    def settle(self, cost: Cost | None, usage: Usage | None = None, span: SpanKey | None = None) -> None:
        self._ledger.settle(self, cost, usage, span)
        learn, self.learn = self.learn, None
        if learn is not None:
            learn(self.thought, cost, usage)
            self.thought = None

    def __del__(self) -> None:
        if self.held:  # no lock here: this may run while the same thread holds it
            self._ledger.lost.append(self)


class Ledger:
    """Every account of the process. Safe to use from any thread."""

    def __init__(self, holder: str) -> None:
        self.holder = holder
        self.lost: deque[HeldReservation] = deque()
        self._given_up: list[HeldReservation] = []
        self._lock = threading.Lock()
        self._accounts: dict[tuple[str, Scope], Account] = {}
        self._budgets: tuple[Budget, ...] = ()
        self.coverage = Coverage((), self._account)
        """Which accounts a call draws on."""
        self._numbers = itertools.count()
        self._pending: list[tuple[str, int, int, SpanKey | None]] = []
        self._unsent: list[Settlement] = []
        self._retired: list[Holding] = []
        self._has_returned = False
        self._short: list[Demand] = []

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
            self.coverage = Coverage(self._budgets, self._account)

    def _account(self, budget: Budget, scope: Scope) -> Account:
        with self._lock:
            account = self._accounts.get((budget.name, scope))
            if account is None:
                account = self._accounts[budget.name, scope] = Account(budget, scope)
            return account

    def take(
        self, demands: Sequence[Demand], now: float, at_ns: int, parts: list[Held] | None = None
    ) -> HeldReservation | Demand:
        """Reserve all of the demands, parts of them set aside, or nothing: then the first that found too little."""
        with self._lock:
            if parts:
                _release(parts)
            is_near = False
            for demand in demands:
                account, amount = demand
                room = account.room(now)
                if room < amount:
                    return demand
                if room < NEAR_CALLS * amount:
                    is_near = True
            held = self._hold(demands, at_ns)
            if is_near:
                self._short += [demand for demand in demands if demand.account.asks_ahead(demand.amount, now)]
            return held

    @property
    def runs_short(self) -> bool:
        """Whether a lease will soon be too small for calls such as the last ones."""
        return bool(self._short)

    def short(self) -> list[Demand]:
        """Takes the calls whose like will soon find too little."""
        with self._lock:
            short, self._short = self._short, []
        return short

    def set_aside(self, demands: Iterable[Demand], now: float) -> list[Held]:
        """Keep what is in hand for a call that needs more, lest smaller ones take it meanwhile, until `release`."""
        with self._lock:
            parts = [Held(a, a.holding, room) for a, amount in demands if (room := min(amount, a.room(now))) > 0]
            for part in parts:
                part.holding.reserved += part.amount
            return parts

    def release(self, parts: list[Held]) -> None:
        with self._lock:
            _release(parts)

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
            holding = account.holding
            holding.reserved += amount
            account.reserved += amount
            held.append(Held(account, holding, amount))
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
        held.account.settled += amount
        if amount:
            self._pending.append((held.holding.lease, amount, at_ns, span))

    def settle_lost(self) -> None:
        """Once a second: settle at the worst case what the application dropped without an end, a second ago or more. A
        stream is collected together with what it has set aside, and its call comes back to life to be concluded: what
        it really cost is settled first."""
        due, self._given_up = self._given_up, [self.lost.popleft() for _ in range(len(self.lost))]
        with self._lock:
            for reservation in due:
                held, reservation.held = reservation.held, []
                for each in held:
                    self._charge(each, each.amount, reservation.at_ns, None)

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
            self._retired = [holding for holding in self._retired if holding.lease not in asked]
            for account in self._accounts.values():
                holding = account.holding
                if holding.lease in asked:
                    holding.usable_until = sent_at + expires_in_s.get(holding.lease, float("-inf"))

    def look(self) -> list[Account]:
        """Once a second: follow each account's traffic, set aside what it does not need, to be handed back with its
        next renewal, and say which accounts are soon in need of more."""
        with self._lock:
            for account in self._accounts.values():
                self._has_returned |= account.follow()
            return [account for account in self._accounts.values() if account.runs_short]

    @property
    def is_pressed(self) -> bool:
        """Whether what was spent since the last report matters beside what is left of some limit."""
        if not self._pending:
            return False
        with self._lock:
            return any(account.is_pressed for account in self._accounts.values())

    @property
    def has_news(self) -> bool:
        """Whether there is something the collector should hear of soon."""
        return bool(self._pending or self._unsent or self._retired or self._has_returned)

    @property
    def is_idle(self) -> bool:
        """Whether there are no budgets, and nothing to be said of any there were."""
        return not (self._budgets or self._accounts or self.has_news or self.lost or self._given_up)

    def renewals(self, *, last: bool = False) -> list[Renewal]:
        """Every lease with what it hands back; idle ones, and all of them at the `last`, are not kept."""
        with self._lock:
            self._has_returned = False
            renewals = [holding.renewal(keep=False, spare=holding.available) for holding in self._retired]
            for account in self._accounts.values():
                holding = account.holding
                if not holding.granted:
                    continue
                keep = not last and not account.is_idle
                renewals.append(holding.renewal(keep=keep, spare=holding.available if last else 0))
                if not keep:
                    self._retired.append(holding)
                    account.holding = Holding(usable_until=float("-inf"))
            if len(self._accounts) > _ACCOUNTS_KEPT:
                self._accounts = {key: account for key, account in self._accounts.items() if not account.is_idle}
                self.coverage = Coverage(self._budgets, self._account)
        return renewals

    def unsent(self) -> list[Settlement]:
        """Takes the settlements that have to be sent. Give them back with `put_back` where they could not be."""
        with self._lock:
            unsent, self._unsent = self._unsent, []
            pending, self._pending = self._pending, []
            for account in self._accounts.values():
                account.holding.told = account.holding.settled
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


def _release(parts: list[Held]) -> None:
    while parts:
        part = parts.pop()
        part.holding.reserved -= part.amount
