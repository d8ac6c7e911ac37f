"""The alerts of a running collector: what rules read, and the two threads that look and tell.

Everything they know is in the database, so a restart goes on where the last process was, and several collectors on one
database make each change, and claim each delivery, once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from typing import Any, Final

from outlay_alerts.config import Channel
from outlay_alerts.defaults import default_rules
from outlay_alerts.dispatch import Dispatcher
from outlay_alerts.evaluate import Evaluation, evaluate
from outlay_alerts.measurements import BudgetState, LimitState, Match, Measurement, Percentiles, Window
from outlay_alerts.rules import Rule
from sqlalchemy import Engine, Row

from outlay_collector.background import repeated
from outlay_collector.budget_states import BudgetState as StoredState
from outlay_collector.budget_states import budget_states
from outlay_collector.periods import from_ns, to_ns
from outlay_collector.settings import Settings
from outlay_collector.store import query
from outlay_collector.store.alerts import SqlAlertStore
from outlay_collector.store.base import CallStore
from outlay_collector.store.engine import reading
from outlay_collector.store.limits import current_limits

TELL_EVERY: Final = timedelta(seconds=1)
REST: Final = 20
MOST_REST_S: Final = 300.0
MOST_REST_OF_WINDOW: Final = 10
"""An answer is never older than one part in so many of what it is about."""
MOST_ANSWERS: Final = 200
_END_WITHIN_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a rule asked, what it was answered, and when and how long that took, in seconds of one timer."""

    window: Window
    group_by: tuple[str, ...]
    match: Match
    found: list[Measurement]
    ended_s: float
    took_s: float

    def answers(self, window: Window, group_by: Sequence[str], match: Match, now_s: float) -> bool:
        length_s = (window.end - window.start).total_seconds()
        leeway_s = min(self.took_s * REST, MOST_REST_S, length_s / MOST_REST_OF_WINDOW)
        moved = max(abs(window.start - self.window.start), abs(window.end - self.window.end))
        return (
            now_s - self.ended_s <= leeway_s
            and moved.total_seconds() <= leeway_s
            and (tuple(group_by), match) == (self.group_by, self.match)
        )


class StoreReaders:
    """`outlay_alerts.measurements.Readers` over the collector's store: the figures the query API gives.

    What took long to read is not read again before twenty times as long has passed, so that rules over long windows
    of many calls cannot keep the database busy; what is read in milliseconds is as good as read at every look. A short
    window takes long to read only where the machine stood still, which must not blind its rule.
    """

    def __init__(self, calls: CallStore, engine: Engine, timer: Callable[[], float] = time.monotonic) -> None:
        self._calls = calls
        self._engine = engine
        self._timer = timer
        self._answers: list[_Answer] = []

    def measure(self, window: Window, group_by: Sequence[str], match: Match) -> list[Measurement]:
        began_s = self._timer()
        for answer in reversed(self._answers):
            if answer.answers(window, group_by, match, began_s):
                return answer.found
        usage = query.UsageQuery(from_ns=to_ns(window.start), to_ns=to_ns(window.end), group_by=group_by, filters=match)
        found = [_measurement(row, group_by) for row in self._calls.usage(usage)]
        ended_s = self._timer()
        answer = _Answer(window, tuple(group_by), dict(match), found, ended_s, ended_s - began_s)
        self._answers = [*self._answers[1 - MOST_ANSWERS :], answer]
        return found

    def budgets(self, now: datetime) -> list[BudgetState]:
        return [_budget_state(state) for state in budget_states(self._engine, to_ns(now))]

    def limits(self, now: datetime) -> list[LimitState]:
        with reading(self._engine) as connection:
            return [_limit_state(row) for row in current_limits(connection, to_ns(now))]


class Alerting:
    """Rules, channels and the store they meet in. `look` and `tell` may be called from any thread."""

    def __init__(
        self,
        calls: CallStore,
        engine: Engine,
        rules: Sequence[Rule],
        channels: Sequence[Channel],
        clock: Callable[[], int],
    ) -> None:
        self._rules = rules
        self._channels = channels
        self._clock = clock
        self._readers = StoreReaders(calls, engine)
        self._store = SqlAlertStore(engine)

    def look(self) -> Evaluation:
        """Judges every rule now and stores what changed."""
        return evaluate(self._rules, self._channels, self._readers, self._store, from_ns(self._clock()))

    def tell(self) -> int:
        """Sends what is due. Returns how many messages were taken."""
        return Dispatcher(self._rules, self._channels, self._store, lambda: from_ns(self._clock())).run()

    @contextmanager
    def repeated(self, every: timedelta) -> Iterator[None]:
        """Looks every so often, and tells of what is due every second, while the block runs.

        Nothing is told before the first look: what fired when the last process ended may be over by now.
        """
        looked = Event()

        def look(_stop: Event) -> None:
            self.look()
            looked.set()

        def tell(_stop: Event) -> None:
            if looked.is_set():
                self.tell()

        # A channel may take its time; what it then took is sent again by the next process.
        tell_s = min(every, TELL_EVERY).total_seconds()
        with (
            repeated("alerts look", every.total_seconds(), look, at_once=True, end_within_s=_END_WITHIN_S),
            repeated("alerts tell", tell_s, tell, at_once=True, end_within_s=_END_WITHIN_S),
        ):
            yield


@contextmanager
def running(settings: Settings, calls: CallStore, engine: Engine, clock: Callable[[], int]) -> Iterator[None]:
    """Alerts as the settings want them, while the block runs. `clock` gives nanoseconds since the epoch."""
    if not settings.alerts.enabled:
        yield
        return
    alerting = Alerting(calls, engine, settings.rules or default_rules(), settings.channels, clock)
    with alerting.repeated(settings.alerts.every):
        yield


def _measurement(row: query.UsageRow, group_by: Sequence[str]) -> Measurement:
    return Measurement(
        group=tuple(zip(group_by, row.group, strict=True)),
        calls=row.calls,
        errors=row.errors,
        rate_limited=row.rate_limited,
        auth_failures=row.auth_failures,
        unpriced_calls=row.unpriced_calls,
        cost_nano_usd=row.cost_nano_usd,
        input_tokens=row.input_tokens,
        cache_read_tokens=row.cache_read_tokens,
        latency_ms=_percentiles(row.latency_ms),
        ttft_ms=_percentiles(row.ttft_ms),
    )


def _limit_state(row: Row[Any]) -> LimitState:
    return LimitState(
        provider=row.provider,
        model=row.model or None,
        service=row.service or None,
        name=row.name,
        limit=row.most,
        remaining=row.remaining,
    )


def _percentiles(found: query.Percentiles) -> Percentiles:
    return Percentiles(p50=found.p50, p95=found.p95, p99=found.p99)


def _budget_state(state: StoredState) -> BudgetState:
    budget = state.budget
    return BudgetState(
        name=budget.name,
        scope=tuple(budget.named(state.scope).items()),
        limit=budget.limit,
        spent=state.spent,
        thresholds=budget.thresholds,
        resets_at=state.window.end,
        refused=state.refused,
        exhausts_at=None if state.projection is None else state.projection.exhausts_at,
    )
