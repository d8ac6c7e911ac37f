"""Rollups: questions are answered the same whether they were summed up beforehand, a little, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outlay.prices import PriceBook
from outlay_collector.ingest import read_batch
from outlay_collector.periods import INTERVALS, edges, to_ns
from outlay_collector.rolling import sum_up_all
from outlay_collector.store.engine import open_engine
from outlay_collector.store.migrate import migrate
from outlay_collector.store.query import UsageQuery
from outlay_collector.store.rollups import DAY_NS, HOUR_NS, PERIODS, QUARTER_NS
from outlay_collector.store.segments import Segment, plan
from outlay_collector.store.sql import SqlStore
from outlay_collector.store.verifying import verify
from sqlalchemy import Engine, delete, select, update
from sqlmodel import SQLModel

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, body_of, chat

BOOK = PriceBook.bundled()
BEGIN = to_ns(datetime(2026, 11, 14, tzinfo=UTC))
LATER = BEGIN + 30 * DAY_NS
MODELS = ("gpt-4o-2024-08-06", "zeta-9")


def reports(*sent: Sent) -> list[object]:
    return list(read_batch(body_of(*sent), is_json=False, book=BOOK).reports)


sents = st.builds(
    lambda n, at, ms, model, feature, ttft, failed: Sent(
        trace=n,
        span=n,
        started_at_ns=BEGIN + at * 1_000_000_000,
        duration_ms=ms,
        failed=failed,
        attributes=chat(
            **{
                "gen_ai.response.id": f"r{n}",
                "gen_ai.response.model": model,
                "outlay.feature": feature,
                **({"gen_ai.response.time_to_first_chunk": ttft} if ttft else {}),
            }
        ),
    ),
    n=st.integers(1, 60),
    at=st.integers(0, 4 * 24 * 3600 - 1),
    ms=st.integers(1, 60_000),
    model=st.sampled_from(MODELS),
    feature=st.sampled_from(["chat", "draft"]),
    ttft=st.sampled_from([0, 0.1, 2.0]),
    failed=st.booleans(),
)
queries = st.builds(
    lambda start, length, interval, zone, group_by, model: UsageQuery(
        from_ns=BEGIN + start * 1_000_000_000,
        to_ns=BEGIN + (start + length) * 1_000_000_000,
        edges=interval
        and list(
            edges(
                interval,
                BEGIN + start * 1_000_000_000,
                BEGIN + (start + length) * 1_000_000_000,
                ZoneInfo(zone),
            )
        ),
        group_by=group_by,
        filters={"model": (model,)} if model else {},
    ),
    start=st.integers(-3600, 3 * 24 * 3600),
    length=st.integers(1, 4 * 24 * 3600),
    interval=st.none() | st.sampled_from(INTERVALS[1:]),
    zone=st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York"]),
    group_by=st.sampled_from([(), ("model",), ("feature",), ("feature", "status"), ("user",)]),
    model=st.none() | st.sampled_from(MODELS),
)


@pytest.fixture(scope="module")
def two_ledgers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Engine]]:
    """One that is summed up, and one that never is."""
    engines = [open_engine(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/outlay.db") for _ in range(2)]
    for engine in engines:
        migrate(engine)
    yield engines[0], engines[1]
    for engine in engines:
        engine.dispose()


@given(
    st.lists(st.tuples(st.lists(sents, max_size=8), st.booleans()), max_size=4),
    st.lists(queries, min_size=3, max_size=6),
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_rollups_equal_calls_at_any_moment(
    two_ledgers: tuple[Engine, Engine], rounds: list[tuple[list[Sent], bool]], asked: list[UsageQuery]
) -> None:
    summed, plain = two_ledgers
    for engine in two_ledgers:
        with engine.begin() as connection:
            for name in ("rollup_bins", "rollups", "rollup_periods", "reports", "calls"):
                connection.execute(delete(SQLModel.metadata.tables[name]))
    for sent, sum_up in rounds:
        for engine in two_ledgers:
            SqlStore(engine).write(reports(*sent), NOW_NS)  # type: ignore[arg-type]  # of Report
        if sum_up:
            sum_up_all(summed, LATER)
            assert verify(summed) == []
    for query in asked:
        assert SqlStore(summed).usage(query) == SqlStore(plain).usage(query)


@BOTH_BACKENDS
def test_a_month_is_read_from_days_and_a_late_call_is_seen_at_once(engine: Engine) -> None:
    store = SqlStore(engine)
    early, late = (
        Sent(trace=1, attributes=chat(), started_at_ns=BEGIN + 5),
        Sent(trace=2, attributes=chat(), started_at_ns=BEGIN + 7),
    )
    query = UsageQuery(from_ns=BEGIN, to_ns=LATER)
    store.write(reports(early), NOW_NS)  # type: ignore[arg-type]  # of Report
    assert sum_up_all(engine, LATER) == 3
    assert sum_up_all(engine, LATER) == 0
    assert store.usage(query)[0].calls == 1
    store.write(reports(late), NOW_NS)  # type: ignore[arg-type]  # of Report
    assert store.usage(query)[0].calls == 2
    with engine.connect() as connection:
        assert set(connection.execute(select(PERIODS.c.stale)).scalars()) == {True}
    assert sum_up_all(engine, LATER) == 3
    assert (store.usage(query)[0].calls, store.usage(query)[0].cost_nano_usd) == (2, 7_000_000)
    assert verify(engine) == []


@BOTH_BACKENDS
def test_verify_names_the_period_that_is_wrong(engine: Engine) -> None:
    SqlStore(engine).write(reports(Sent(attributes=chat(), started_at_ns=BEGIN)), NOW_NS)  # type: ignore[arg-type]
    sum_up_all(engine, LATER)
    with engine.begin() as connection:
        connection.execute(update(SQLModel.metadata.tables["rollups"]).values(cost_nano_usd=1))
    found = verify(engine)
    assert len(found) == 3
    assert "2026-11-14T00:00:00Z" in found[0]
    assert "cost_nano_usd" in found[0]
    with engine.begin() as connection:
        connection.execute(delete(PERIODS))
    assert "not listed" in verify(engine)[0]


def test_whole_days_come_from_days_and_the_rest_from_hours_quarters_and_calls() -> None:
    day = 100 * DAY_NS
    days = {day: False, day + DAY_NS: True}
    next_day = day + DAY_NS
    hours = {next_day: False, next_day + HOUR_NS: True}
    quarters = {
        next_day + HOUR_NS: False,
        next_day + HOUR_NS + QUARTER_NS: True,
    }
    listed = {DAY_NS: days, HOUR_NS: hours, QUARTER_NS: quarters}
    assert plan([(0, day, day + 3 * DAY_NS)], listed) == [
        Segment(0, DAY_NS, day, next_day),
        Segment(0, HOUR_NS, next_day, next_day + HOUR_NS),
        Segment(0, QUARTER_NS, next_day + HOUR_NS, next_day + HOUR_NS + QUARTER_NS),
        Segment(0, None, next_day + HOUR_NS + QUARTER_NS, next_day + HOUR_NS + 2 * QUARTER_NS),
    ]


def test_a_window_that_cuts_a_quarter_reads_its_calls() -> None:
    day = 100 * DAY_NS
    listed = {DAY_NS: {day: False}, HOUR_NS: {day: False}, QUARTER_NS: {day: False}}
    assert plan([(0, day + 5, day + QUARTER_NS)], listed) == [Segment(0, None, day + 5, day + QUARTER_NS)]
