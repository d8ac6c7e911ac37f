"""Keeps a process's ledger and its collector in step.

`ask` runs on the application's time, when a lease is too small for a call. All else is one background thread's: it
learns the definitions, asks ahead of need, renews, hands back what is not needed, and reports what calls cost. What
could not be sent is kept and sent later; the collector counts it once.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from outlay.budgets.account import Demand, Held
from outlay.budgets.budget import Budget
from outlay.budgets.definition import read_budget
from outlay.budgets.held_back import HeldBack
from outlay.budgets.lease import Ask, LeaseAnswer, LeaseRequest, Renewal, SettleRequest
from outlay.budgets.ledger import Ledger
from outlay.budgets.remote import Remote, Unreachable
from outlay.budgets.waiting import is_in_event_loop
from outlay.errors import ConfigError
from outlay.guard import shielded

FIRST_WAIT_S: Final = 1.0
"""How long a process's first calls wait at most to learn whether there are budgets. A collector that is away says so at
once; only one that is slow is waited for."""
ASK_TIMEOUT_S: Final = 1.0
LOOP_ASK_TIMEOUT_S: Final = 0.5
"""In the thread of an event loop, where nothing else runs meanwhile."""
_BACKGROUND_TIMEOUT_S: Final = 5.0
_TICK_S: Final = 1.0
_REPORT_S: Final = 0.25
"""How soon what was spent is reported where little is left."""
_REFRESH_S: Final = 10.0
_ABSENT_REFRESH_S: Final = 300.0
_RENEW_S: Final = 10.0
_DOWN_S: Final = 1.0
"""After a failed request no other call waits for the collector for this long."""
_REFUSED_S: Final = 0.25
_WANTED_CALLS: Final = 10
_BATCH: Final = 2_000
_log = logging.getLogger(__name__)
Clock = Callable[[], float]


def steady_s() -> float:
    """Seconds on a clock that no change of the time of day moves, and that counts while the machine sleeps."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Keeper:
    """The conversation of one ledger with one collector. `start` it once; `close` it at the process's end."""

    def __init__(self, remote: Remote, ledger: Ledger, held_back: HeldBack, clock: Clock) -> None:
        self._clock = clock
        self.down_why = ""
        self._remote = remote
        self._ledger = ledger
        self._held_back = held_back
        self._version: str | None = None
        self._down_until = float("-inf")
        self._refresh_at = float("-inf")
        self._renew_at = float("-inf")
        self._heard = threading.Event()
        self._stopped = False
        self._wake = threading.Event()
        self._sending = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="outlay-budgets", daemon=True)

    def start(self) -> None:
        """Begin to learn the definitions; `wait_to_hear` of them."""
        self._thread.start()

    def wait_to_hear(self) -> None:
        """Wait a moment for the definitions: without them a call would pass unseen."""
        self._heard.wait(FIRST_WAIT_S)

    def close(self) -> None:
        """Report what is left to report, hand every lease back, and end. Gives up where the collector is away."""
        self._stopped = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(ASK_TIMEOUT_S)
        try:
            self._settle(self._ledger.renewals(last=True), ASK_TIMEOUT_S)
        except Unreachable as error:
            _log.debug("budgets: the last settlements were not sent: %s", error)

    def flush(self, timeout_s: float) -> bool:
        """Report what calls have cost so far. False where the collector is away: it is kept and sent later."""
        try:
            self._settle(self._ledger.renewals(), timeout_s)
        except Unreachable:
            return False
        return True

    @property
    def is_settling(self) -> bool:
        return self._sending.locked()

    @property
    def is_told(self) -> bool:
        """Whether the collector has ever said which budgets there are."""
        return self._version is not None

    def ask(self, demands: Sequence[Demand], parts: Sequence[Held] = ()) -> bool:
        """Ask for what these demands lack beside the parts set aside for them. False where there was no answer; to be
        refused is one."""
        if self._clock() < self._down_until:
            return False
        now = self._clock()
        kept = {id(part.holding): part.amount for part in parts}
        lacking = [(each, each.amount - kept.get(id(each.account.holding), 0)) for each in demands]
        short = [(demand, lack) for demand, lack in lacking if not demand.account.has_room(lack, now)]
        asks = [self._ask(each, lack, self._wanted(each)) for each, lack in short]
        try:
            refused = self._lease(asks, LOOP_ASK_TIMEOUT_S if is_in_event_loop() else ASK_TIMEOUT_S)
        except Unreachable:
            return False
        now = self._clock()
        for ((account, amount), lack), ask in zip(short, asks, strict=True):
            if ask.lease in refused and not account.has_room(lack, now):
                account.refused = amount
                account.refused_until = now + _REFUSED_S
        return True

    def _ask(self, demand: Demand, amount: int, want: int) -> Ask:
        account = demand.account
        holding = self._ledger.open_lease(account, self._clock())
        return Ask(
            lease=holding.lease,
            budget=account.budget.name,
            scope=list(account.scope),
            known=holding.granted,
            need=max(0, amount - holding.available),
            want=max(0, want - holding.available),
            amount=demand.amount if amount else 0,
        )

    def _lease(self, asks: list[Ask], timeout_s: float) -> set[str]:
        """The leases that were not given what they need, and live: what others took of them since is no refusal."""
        sent_at = self._clock()
        request = LeaseRequest(holder=self._ledger.holder, version=self._version, asks=asks)
        try:
            answer = self._remote.lease(request, timeout_s)
        except Unreachable as error:
            self._down(error)
            raise
        self._down_until = float("-inf")
        self._learn(answer)
        for grant in answer.grants:
            self._ledger.granted(grant, sent_at)
        needed = {ask.lease: ask.known + ask.need for ask in asks}
        return {
            grant.lease
            for grant in answer.grants
            if grant.expires_in_s > 0 and grant.granted < needed.get(grant.lease, 0)
        }

    def _learn(self, answer: LeaseAnswer) -> None:
        if answer.budgets is not None:
            self._ledger.define(_readable(answer.budgets))
        self._version = answer.version
        self._refresh_at = self._clock() + _REFRESH_S
        self._heard.set()

    def _down(self, error: Unreachable) -> None:
        if not self.down_why:
            _log.log(logging.DEBUG if error.absent else logging.WARNING, "budgets are not kept for now: %s", error)
        self.down_why = str(error)
        self._down_until = self._clock() + _DOWN_S
        if error.absent:
            self._refresh_at = self._clock() + _ABSENT_REFRESH_S
        self._heard.set()

    def wake(self) -> None:
        """Have the background ask for more now: a lease is nearly used up."""
        self._wake.set()

    def _run(self) -> None:
        tick_at = float("-inf")
        while not self._stopped:
            if time.monotonic() >= tick_at:
                shielded(self.tick)()
                tick_at = time.monotonic() + _TICK_S
            else:
                shielded(self.ask_ahead)()
                shielded(self.report_pressing)()
            self._wake.wait(self._rest_s(tick_at - time.monotonic()))
            self._wake.clear()

    def _rest_s(self, to_tick_s: float) -> float:
        """Until there may be something to do: where nobody has set a budget, to look whether somebody has."""
        if self._ledger.is_idle and self._held_back.is_empty:
            return max(to_tick_s, self._refresh_at - self._clock())
        return min(_REPORT_S, max(0.0, to_tick_s))

    def ask_ahead(self) -> None:
        """Ask for what calls like the last ones will need, and report what was spent: the faster a process spends, the
        more often, so that little is lost where it is killed. Never raises for a collector that is away."""
        asks = [self._ask(each, 0, self._wanted(each)) for each in self._ledger.short()]
        if asks and self._clock() >= self._down_until:
            with suppress(Unreachable):
                self._lease(asks, ASK_TIMEOUT_S)
                self._settle([], ASK_TIMEOUT_S)

    def report_pressing(self) -> None:
        """Report what was spent, where that matters beside what is left. Never raises for a collector that is away."""
        if self._ledger.is_pressed and self._clock() >= self._down_until:
            with suppress(Unreachable):
                self._settle([], ASK_TIMEOUT_S)

    @staticmethod
    def _wanted(demand: Demand) -> int:
        amount, said = demand.amount * _WANTED_CALLS, demand.account.standing
        if said is not None and said.share is not None:
            amount = max(demand.amount, min(amount, said.share))
        return max(amount, demand.account.target)

    def tick(self) -> None:
        """One round of the background's work. Never raises for a collector that is away."""
        self.ask_ahead()
        self._ledger.settle_lost()
        short = self._ledger.look()
        now = self._clock()
        try:
            if now >= self._refresh_at or short:
                self._lease([self._ask(Demand(each, 0), 0, each.target) for each in short], _BACKGROUND_TIMEOUT_S)
            if now >= self._renew_at or self._ledger.has_news or not self._held_back.is_empty:
                self._settle(self._ledger.renewals(), _BACKGROUND_TIMEOUT_S)
                self._renew_at = now + _RENEW_S
        except Unreachable:
            return
        self.down_why = ""

    def _settle(self, renewals: list[Renewal], timeout_s: float) -> None:
        with self._sending:
            unsent, refusals = self._ledger.unsent(), self._held_back.take()
            while unsent or renewals or refusals:
                sent_at = self._clock()
                request = SettleRequest(
                    holder=self._ledger.holder, settlements=unsent[:_BATCH], renewals=renewals, refusals=refusals
                )
                try:
                    answer = self._remote.settle(request, timeout_s)
                except Unreachable as error:
                    self._ledger.put_back(unsent)
                    self._held_back.put_back(refusals)
                    self._down(error)
                    raise
                self._ledger.renewed(answer.expires_in_s, [each.lease for each in renewals], sent_at)
                unsent, renewals, refusals = unsent[_BATCH:], [], []
                if answer.version != self._version:
                    self._refresh_at = float("-inf")


def _readable(entries: Iterable[dict[str, object]]) -> list[Budget]:
    """The definitions this version of Outlay understands; one it does not is the collector's alone to watch."""
    budgets = []
    for entry in entries:
        try:
            budgets.append(read_budget(entry, "the collector"))
        except ConfigError as error:
            _log.warning("a budget cannot be kept in this process: %s", error)
    return budgets
