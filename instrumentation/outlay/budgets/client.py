"""The gate of a process whose budgets are kept by a collector.

A call is let through out of leases in hand, with no network. Where they are too small the calling thread asks for more,
once, with a short timeout. A process whose collector has no budgets pays for one comparison a call, and one small
request every ten seconds from a thread that starts with its first call.
"""

from __future__ import annotations

import atexit
import os
import socket
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from opentelemetry.trace import format_trace_id, get_current_span

from outlay.budgets import refusal
from outlay.budgets.account import Account, Demand
from outlay.budgets.budget import Budget, dimensions_of
from outlay.budgets.estimate import Estimator
from outlay.budgets.gate import OpenGate, Reservation, SpanKey
from outlay.budgets.held_back import HeldBack, Kind
from outlay.budgets.keeper import Clock, Keeper, steady_s
from outlay.budgets.ledger import HeldReservation, Ledger
from outlay.budgets.remote import Remote
from outlay.errors import BudgetExceeded
from outlay.model import Attribution, Cost, Usage
from outlay.prices import PriceBook
from outlay.providers.base import Request

_TRIES: Final = 5
_OPEN: Final = OpenGate()


def connect(endpoint: str, api_key: str | None, book: PriceBook, *, required: bool = False) -> LeasedGate:
    """A gate that keeps the budgets of the collector at `endpoint`. Sends nothing before the first call.

    `required`: no call passes before the process has learnt its budgets. Else it does, for nobody knows whether any
    would be against it.
    """
    return LeasedGate(Remote(endpoint, api_key), Estimator(book), required=required)


class CallReservation:
    """A reservation that also teaches the estimator what the call really used."""

    __slots__ = ("_estimator", "_provider", "_request", "_reservation")

    def __init__(self, reservation: HeldReservation, estimator: Estimator, provider: str, request: Request) -> None:
        self._reservation = reservation
        self._estimator = estimator
        self._provider = provider
        self._request = request

    def settle(self, cost: Cost | None, usage: Usage | None = None, span: SpanKey | None = None) -> None:
        self._reservation.settle(cost, usage, span)
        if usage is not None:
            self._estimator.learn(self._provider, self._request, usage)


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
        self._start_afresh(())
        _at_the_end(self)

    def _start_afresh(self, budgets: Sequence[Budget]) -> None:
        self._ledger = Ledger(f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}")
        self._ledger.define(budgets)
        self._held_back = HeldBack(self._ledger.holder)
        self._keeper = Keeper(self._remote, self._ledger, self._held_back, self._clock)
        self._starting = threading.Lock()
        self._started = False

    def after_fork(self) -> None:
        """In the child: the leases are the parent's, the thread was not copied. The definitions still hold."""
        parents = self._ledger
        parents.abandon()
        self._start_afresh(parents.budgets)

    def flush(self, timeout_s: float) -> bool:
        """Report what calls have cost so far. False where the collector is away: it is kept and sent later."""
        return self._keeper.flush(timeout_s) if self._started else True

    def tick(self) -> None:
        """One round of what the thread does: renew, hand back, report."""
        self._keeper.tick()

    def close(self) -> None:
        if self._started:
            self._keeper.close()

    def reserve(self, provider: str, request: Request, attribution: Attribution) -> Reservation:
        """Raises `BudgetExceeded`."""
        if not self._started:
            self._start()
        ledger = self._ledger
        if not ledger.budgets:
            if self._required and not self._keeper.is_told:
                raise refusal.untold(self._keeper.down_why)
            return _OPEN.reserve(provider, request, attribution)
        attribution = _completed(attribution, request.attribution)
        trace = _trace_id() if ledger.asks_for_trace else None
        accounts = ledger.covering(dimensions_of(provider, request.operation, request.model, attribution, trace))
        if not accounts:
            return _OPEN.reserve(provider, request, attribution)
        at_ns = time.time_ns()
        try:
            taken = self._taken(accounts, provider, request, at_ns)
        except BudgetExceeded as refused:
            self._note(refused, accounts, provider, request, attribution, at_ns)
            raise
        if taken is None:
            return _OPEN.reserve(provider, request, attribution)
        return CallReservation(taken, self._estimator, provider, request)

    def _taken(
        self, accounts: Sequence[Account], provider: str, request: Request, at_ns: int
    ) -> HeldReservation | None:
        """What the call has set aside; None where it needs nothing."""
        demands = self._demands(accounts, provider, request, at_ns)
        if not demands:
            return None
        taken = self._ledger.take(demands, self._clock(), at_ns)
        if isinstance(taken, Demand):
            taken = self._take_more(demands, taken, at_ns)
        if self._ledger.runs_short:
            self._keeper.wake()
        return taken

    def _note(
        self,
        refused: BudgetExceeded,
        accounts: Sequence[Account],
        provider: str,
        request: Request,
        attribution: Attribution,
        at_ns: int,
    ) -> None:
        """Have the collector told of a call that was held back."""
        scope = next((a.scope for a in accounts if a.budget.name == refused.budget), ())
        kind = Kind(
            budget=refused.budget,
            scope=scope,
            reason=refused.reason,
            provider=provider,
            model=request.model,
            service=attribution.service,
            feature=attribution.feature,
            user=attribution.user,
        )
        tokens = self._estimator.tokens(provider, request)
        self._held_back.note(kind, self._estimator.nano_usd(provider, request, tokens, at_ns), at_ns)

    def _start(self) -> None:
        with self._starting:
            if not self._started:
                if self._in_background:
                    self._keeper.start()
                else:
                    self._keeper.tick()
                self._started = True

    def _demands(self, accounts: Sequence[Account], provider: str, request: Request, at_ns: int) -> list[Demand]:
        """What the call may need at most of each account; nothing of one that counts USD where the model is free."""
        tokens = self._estimator.tokens(provider, request)
        nano_usd = self._estimator.nano_usd(provider, request, tokens, at_ns)
        demands = []
        for account in accounts:
            unit = account.budget.limit.unit
            if unit == "calls":
                demands.append(Demand(account, 1))
            elif unit == "tokens":
                demands.append(Demand(account, sum(tokens)))
            elif nano_usd:
                demands.append(Demand(account, nano_usd))
            elif nano_usd is None and account.budget.unpriced == "block":
                raise refusal.unpriced(account.budget, account.scope, provider, request.model)
        return demands

    def _take_more(self, demands: Sequence[Demand], short: Demand, at_ns: int) -> HeldReservation:
        """Have the keeper ask for what is missing. Of several threads one asks, the others find what it got."""
        for _ in range(_TRIES):
            with short.account.asking:
                taken = self._ledger.take(demands, self._clock(), at_ns)
                if isinstance(taken, Demand):
                    short = taken
                    if short.account.is_refused(short.amount, self._clock()):
                        break
                    if not self._keeper.ask(demands):
                        return self._take_unreached(demands, at_ns)
                    taken = self._ledger.take(demands, self._clock(), at_ns)
            if not isinstance(taken, Demand):
                return taken
            short = taken
        account, said = short.account, short.account.standing
        if said is None:
            return self._take_unreached(demands, at_ns)
        raise refusal.no_room(account.budget, account.scope, said, short.amount, datetime.now(UTC))

    def _take_unreached(self, demands: Sequence[Demand], at_ns: int) -> HeldReservation:
        taken = self._ledger.take_unreached(demands, self._clock(), at_ns)
        if isinstance(taken, Demand):
            raise refusal.unreachable(taken.account.budget, taken.account.scope, self._keeper.down_why)
        return taken


def _completed(attribution: Attribution, said: Attribution) -> Attribution:
    """What the application said, and where it said nothing what the request itself says."""
    user, session = attribution.user or said.user, attribution.session or said.session
    if user == attribution.user and session == attribution.session:
        return attribution
    return replace(attribution, user=user, session=session)


def _trace_id() -> str | None:
    """The trace under way, None where the call would begin one."""
    span = get_current_span().get_span_context()
    return format_trace_id(span.trace_id) if span.is_valid else None


def _at_the_end(gate: LeasedGate) -> None:
    """Call the gate when the process forks or ends, for as long as somebody holds it."""
    alive = weakref.ref(gate)

    def after_fork() -> None:
        if (found := alive()) is not None:
            found.after_fork()

    def close() -> None:
        if (found := alive()) is not None:
            found.close()

    os.register_at_fork(after_in_child=after_fork)
    atexit.register(close)
