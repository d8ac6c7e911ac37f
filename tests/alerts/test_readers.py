"""What rules read from a store, and how often they make it read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from outlay_alerts.measurements import Window
from outlay_collector.alerting import StoreReaders
from outlay_collector.store.query import UsageQuery, UsageRow
from outlay_collector.store.sql import SqlStore
from sqlalchemy import Engine

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@dataclass
class Counting(SqlStore):
    """A store that notes what it is asked."""

    engine: Engine
    asked: list[UsageQuery] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.engine)

    def usage(self, query: UsageQuery) -> list[UsageRow]:
        self.asked.append(query)
        return super().usage(query)


@pytest.fixture
def store(sqlite_engine: Engine) -> Counting:
    return Counting(sqlite_engine)


@pytest.fixture
def readers(store: Counting, sqlite_engine: Engine) -> StoreReaders:
    return StoreReaders(store, sqlite_engine)


def test_a_short_window_is_read_at_every_look(store: Counting, readers: StoreReaders) -> None:
    for _ in range(2):
        readers.measure(Window(NOON - 5 * MINUTE, NOON), ("provider",), {})
    assert len(store.asked) == 2


def test_a_long_window_is_read_again_after_a_thousandth_of_its_length(store: Counting, readers: StoreReaders) -> None:
    # a thousandth of a day is 86.4 s
    for seconds in (0, 15, 86, 87, 100):
        now = NOON + timedelta(seconds=seconds)
        readers.measure(Window(now - DAY, now), ("provider",), {"feature": ("chat",)})
    assert len(store.asked) == 2


def test_a_calendar_period_that_grows_is_the_same_question(store: Counting, readers: StoreReaders) -> None:
    midnight = NOON.replace(hour=0)
    for seconds in (0, 15, 30):
        readers.measure(Window(midnight, NOON + timedelta(seconds=seconds)), (), {})
    assert len(store.asked) == 1


def test_another_group_match_or_time_is_another_question(store: Counting, readers: StoreReaders) -> None:
    day = Window(NOON - DAY, NOON)
    readers.measure(day, (), {})
    readers.measure(day, ("model",), {})
    readers.measure(day, (), {"feature": ("chat",)})
    readers.measure(Window(NOON - 2 * DAY, NOON - DAY), (), {})
    assert len(store.asked) == 4
