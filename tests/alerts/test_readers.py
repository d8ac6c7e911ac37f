"""What rules read from a store, and how often they make it read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from outlay_alerts.measurements import Window
from outlay_collector.alerting import StoreReaders
from outlay_collector.store.query import UsageQuery, UsageRow
from outlay_collector.store.sql import SqlStore
from sqlalchemy import Engine

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


class Timer:
    """Seconds, moved by hand."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class SlowStore(SqlStore):
    """A store whose sums take a while by the timer, and which notes what it is asked."""

    def __init__(self, engine: Engine, timer: Timer, takes_s: float) -> None:
        super().__init__(engine)
        self.asked: list[UsageQuery] = []
        self._timer = timer
        self._takes_s = takes_s

    def usage(self, query: UsageQuery) -> list[UsageRow]:
        self.asked.append(query)
        self._timer.now_s += self._takes_s
        return super().usage(query)


@pytest.fixture
def timer() -> Timer:
    return Timer()


def reads(engine: Engine, timer: Timer, takes_s: float, looks: Sequence[float], length: timedelta = DAY) -> int:
    """How often the store was read in looks at those seconds."""
    store = SlowStore(engine, timer, takes_s)
    readers = StoreReaders(store, engine, timer)
    for seconds in looks:
        timer.now_s = max(timer.now_s, seconds)
        now = NOON + timedelta(seconds=seconds)
        readers.measure(Window(now - length, now), ("provider",), {"feature": ("chat",)})
    return len(store.asked)


def test_what_is_quick_to_read_is_read_at_every_look(sqlite_engine: Engine, timer: Timer) -> None:
    assert reads(sqlite_engine, timer, 0.01, [0, 15, 30, 45]) == 4


def test_what_is_slow_to_read_rests_for_twenty_times_as_long(sqlite_engine: Engine, timer: Timer) -> None:
    assert reads(sqlite_engine, timer, 3.0, [0, 15, 30, 45, 60, 63, 75]) == 2


def test_nothing_rests_for_more_than_five_minutes(sqlite_engine: Engine, timer: Timer) -> None:
    assert reads(sqlite_engine, timer, 100.0, [0, 300, 401]) == 2


def test_what_is_told_of_a_short_time_is_not_older_than_a_tenth_of_it(sqlite_engine: Engine, timer: Timer) -> None:
    assert reads(sqlite_engine, timer, 15.0, [0, 30, 46, 90], length=timedelta(minutes=5)) == 3


def test_a_calendar_period_that_grows_is_the_same_question(sqlite_engine: Engine, timer: Timer) -> None:
    store = SlowStore(sqlite_engine, timer, 3.0)
    readers = StoreReaders(store, sqlite_engine, timer)
    for seconds in (0, 15, 30):
        readers.measure(Window(NOON.replace(hour=0), NOON + timedelta(seconds=seconds)), (), {})
    assert len(store.asked) == 1


def test_another_group_match_or_time_is_another_question(sqlite_engine: Engine, timer: Timer) -> None:
    store = SlowStore(sqlite_engine, timer, 3.0)
    readers = StoreReaders(store, sqlite_engine, timer)
    day = Window(NOON - DAY, NOON)
    readers.measure(day, (), {})
    readers.measure(day, ("model",), {})
    readers.measure(day, (), {"feature": ("chat",)})
    readers.measure(Window(NOON - 2 * DAY, NOON - DAY), (), {})
    assert len(store.asked) == 4
