"""The gate of a process whose budgets are kept by a collector.

A call is let through out of leases in hand, with no network. Where they are too small the calling thread asks for more,
once, with a short timeout. A process whose collector has no budgets pays for one comparison a call, and one small
request every ten seconds from a thread that starts with its first call.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import weakref
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import uuid4

from opentelemetry.trace import format_trace_id, get_current_span

from outlay.budgets import refusal
from outlay.budgets.account import Account, Demand
from outlay.budgets.budget import Budget
from outlay.budgets.estimate import Estimator, Worst
from outlay.budgets.gate import FREE, Asking, Reservation
from outlay.budgets.held_back import HeldBack, Kind
from outlay.budgets.keeper import ASK_TIMEOUT_S, Clock, Keeper, steady_s
from outlay.budgets.ledger import HeldReservation, Ledger
from outlay.budgets.remote import Remote
from outlay.context import completed
from outlay.ending import Ending
from outlay.errors import BudgetExceeded
from outlay.guard import shielded
from outlay.model import Attribution
from outlay.names import as_stored
from outlay.prices import PriceBook
from outlay.providers.base import Request

_TRIES: Final = 20
"""Each gets more from the collector or a refusal; so often others would have to take what it got, in between."""


def connect(endpoint: str, api_key: str | None, book: PriceBook, *, required: bool = False) -> LeasedGate:
    """A gate that keeps the budgets of the collector at `endpoint`. Sends nothing before the first call.

    `required`: no call passes before the process has learnt its budgets. Else it does, for nobody knows whether any
    would be against it.
    """
    return LeasedGate(Remote(endpoint, api_key), Estimator(book), required=required)


class _Wish(NamedTuple):
    """A call that budgets cover, and the accounts it draws on."""

    accounts: Sequence[Account]
    provider: str
    attribution: Attribution
    at_ns: int
    worst: Worst


class LeasedGate:
    """See the module. `close` reports what is left to report and hands every lease back."""

    def __init__(
        self,
        remote: Remote,
        estimator: Estimator,
        *,
        required: bool = False,
        clock: Clock = steady_s,
        in_background: bool = True,
    ) -> None:
        """`in_background` False: there is no thread, whoever made the gate calls `tick` about once a second."""
        self._remote = remote
        self._required = required
        self._clock = clock
        self._in_background = in_background
        self._estimator = estimator
        self._learn = estimator.learn
        self._ending: Ending | None = None
        self._start_afresh(())
        _gates.add(self)

    def _start_afresh(self, budgets: Sequence[Budget]) -> None:
        self._ledger = Ledger(f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}")
        self._ledger.define(budgets)
        self._held_back = HeldBack(self._ledger.holder)
        self._keeper = Keeper(self._remote, self._ledger, self._held_back, self._clock)
        self._starting = threading.Lock()
        self._started = self._is_ready = False

    def after_fork(self) -> None:
        """In the child: the leases are the parent's, the thread was not copied. The definitions still hold."""
        parents = self._ledger
        parents.abandon()
        self._start_afresh(parents.budgets)

    @property
    def is_settled(self) -> bool:
        """Whether all there is to report has been."""
        return not (self._ledger.has_news or self._keeper.is_settling) and self._held_back.is_empty

    def flush(self, timeout_s: float) -> bool:
        """Report what calls have cost so far. False where the collector is away: it is kept and sent later."""
        return self._keeper.flush(timeout_s) if self._started else True

    def tick(self) -> None:
        """One round of what the thread does: renew, hand back, report."""
        self._keeper.tick()

    def close(self) -> None:
        _gates.discard(self)
        if self._started:
            self._keeper.close()
        if self._ending is not None:
            self._ending.undo()

    def reserve(self, provider: str, request: Request, attribution: Attribution) -> Reservation:
        """What the call holds, asked for in this thread where that has to be. Raises `BudgetExceeded`."""
        found = self.begin(provider, request, attribution)
        return found.ask() if isinstance(found, Asking) else found

    def begin(self, provider: str, request: Request, attribution: Attribution) -> Reservation | Asking:
        """Raises `BudgetExceeded`."""
        if not self._is_ready:
            return Asking(lambda: self._when_ready(provider, request, attribution))
        ledger = self._ledger
        if not ledger.budgets:
            if self._required and not self._keeper.is_told:
                raise refusal.untold(self._keeper.down_why)
            return FREE
        attribution = completed(attribution, request.attribution)
        coverage = ledger.coverage
        trace = _trace_id() if coverage.asks_for_trace else None
        accounts = coverage.of(provider, request.operation, request.model, attribution, trace)
        if not accounts:
            return FREE
        at_ns = time.time_ns()
        worst = self._estimator.worst(provider, request, at_ns)
        try:
            demands = self._demands(accounts, worst, provider)
            if not demands:
                return FREE
            taken = ledger.take(demands, self._clock(), at_ns)
            if isinstance(taken, Demand):
                wish = _Wish(accounts, provider, attribution, at_ns, worst)
                if not taken.account.is_refused(taken.amount, self._clock()):
                    return Asking(lambda: self._asked(wish, demands))
                raise self._no_room(taken)
        except BudgetExceeded as refused:
            self._note(refused, _Wish(accounts, provider, attribution, at_ns, worst))
            raise
        return self._kept(taken, worst)

    def _when_ready(self, provider: str, request: Request, attribution: Attribution) -> Reservation:
        """The first calls of a process wait a moment to learn its budgets: without them they would pass unseen."""
        with self._starting:
            if not self._started:
                if self._in_background:
                    self._keeper.start()
                    self._watch_the_end()
                else:
                    self._keeper.tick()
                self._started = True
        if self._in_background:
            self._keeper.wait_to_hear()
        self._is_ready = True
        return self.reserve(provider, request, attribution)

    def _watch_the_end(self) -> None:
        if self._ending is None:  # else this is a fork, which has its parent's
            self._ending = Ending(self.close, ASK_TIMEOUT_S)
        self._ending.watch_child()

    def _asked(self, wish: _Wish, demands: Sequence[Demand]) -> Reservation:
        """What the call holds once the collector has answered. Runs on any thread."""
        try:
            return self._kept(self._take_more(demands, wish.at_ns), wish.worst)
        except BudgetExceeded as refused:
            self._note(refused, wish)
            raise

    def _kept(self, taken: HeldReservation, worst: Worst) -> HeldReservation:
        taken.learn, taken.thought = self._learn, worst
        if self._ledger.runs_short:
            self._keeper.wake()
        return taken

    def _note(self, refused: BudgetExceeded, wish: _Wish) -> None:
        """Have the collector told of a call that was held back."""
        kind = Kind(
            budget=refused.budget,
            scope=next((a.scope for a in wish.accounts if a.budget.name == refused.budget), ()),
            reason=refused.reason,
            provider=wish.provider,
            model=as_stored(wish.worst.request.model),
            service=as_stored(wish.attribution.service),
            feature=as_stored(wish.attribution.feature),
            user=as_stored(wish.attribution.user),
        )
        self._held_back.note(kind, wish.worst.nano_usd, wish.at_ns)

    def _demands(self, accounts: Sequence[Account], worst: Worst, provider: str) -> list[Demand]:
        """What the call may need at most of each account; nothing of one that counts USD where the model is free."""
        demands = []
        for account in accounts:
            budget = account.budget
            unit = budget.limit.unit
            if unit == "calls":
                demands.append(Demand(account, 1))
                continue
            tokens, nano_usd = worst.tokens, worst.nano_usd
            if budget.uncapped == "p99":
                tokens, nano_usd = self._estimator.likely(worst)
            if unit == "tokens":
                demands.append(Demand(account, tokens))
            elif nano_usd:
                demands.append(Demand(account, nano_usd))
            elif nano_usd is None and budget.unpriced == "block":
                raise refusal.unpriced(budget, account.scope, provider, worst.request.model)
        return demands

    def _take_more(self, demands: Sequence[Demand], at_ns: int) -> HeldReservation:
        """Have the keeper ask for what is missing. Of several threads one asks, the others find what it got."""
        short = demands[0]
        for turn in range(_TRIES):
            taken = self._ledger.take(demands, self._clock(), at_ns)
            if not isinstance(taken, Demand):
                return taken
            short = taken
            with short.account.asking:
                taken = self._ledger.take(demands, self._clock(), at_ns)
                if isinstance(taken, Demand):
                    short = taken
                    if short.account.is_refused(short.amount, self._clock()):
                        break
                    found = self._ask(demands, at_ns, keeps=turn > 0)
                    if found is None:
                        return self._take_unreached(demands, at_ns)
                    taken = found
            if not isinstance(taken, Demand):
                return taken
            short = taken
        if short.account.standing is None:
            return self._take_unreached(demands, at_ns)
        raise self._no_room(short)

    def _ask(self, demands: Sequence[Demand], at_ns: int, *, keeps: bool) -> HeldReservation | Demand | None:
        """What the call holds, or lacks still; None where there was no answer. `keeps`: what is in hand is kept for it
        meanwhile, for smaller calls have taken it before."""
        ledger = self._ledger
        parts = ledger.set_aside(demands, self._clock()) if keeps else []
        try:
            if not self._keeper.ask(demands, parts):
                return None
            return ledger.take(demands, self._clock(), at_ns, parts)
        finally:
            ledger.release(parts)

    @staticmethod
    def _no_room(short: Demand) -> BudgetExceeded:
        account, said = short.account, short.account.standing
        assert said is not None, "what was refused has been answered"
        return refusal.no_room(account.budget, account.scope, said, short.amount, datetime.now(UTC))

    def _take_unreached(self, demands: Sequence[Demand], at_ns: int) -> HeldReservation:
        taken = self._ledger.take_unreached(demands, self._clock(), at_ns)
        if isinstance(taken, Demand):
            raise refusal.unreachable(taken.account.budget, taken.account.scope, self._keeper.down_why)
        return taken


def _trace_id() -> str | None:
    """The trace under way, None where the call would begin one."""
    span = get_current_span().get_span_context()
    return format_trace_id(span.trace_id) if span.is_valid else None


_gates: Final[weakref.WeakSet[LeasedGate]] = weakref.WeakSet()


@shielded
def _after_fork() -> None:
    for gate in list(_gates):
        gate.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
