"""Rollups: questions are answered the same whether they were summed up beforehand, a little, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outlay.prices import PriceBook
from outlay_collector.billing import Report
from outlay_collector.ingest import read_batch
from outlay_collector.periods import INTERVALS, Interval, edges, to_ns
from outlay_collector.rolling import sum_up_all
from outlay_collector.store.claiming import claim_stale
from outlay_collector.store.grains import DAY_NS, HOUR_NS, LENGTHS_NS, MINUTE_NS, whole
from outlay_collector.store.query import UsageQuery
from outlay_collector.store.rollups import PERIODS, ROLLUPS, Section
from outlay_collector.store.schema import CALLS
from outlay_collector.store.sql import SqlStore
from outlay_collector.store.summing import Fewest, forget_details, sum_up
from outlay_collector.store.verifying import verify
from sqlalchemy import Connection, Engine, delete, event, func, select, update

from tests.collector.fewest import ANY, FEW
from tests.collector.ledgers import Ledgers, assert_equal_answers, emptied
from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, body_of, chat
from tests.collector.spoiling import add_to_rollups

BOOK = PriceBook.bundled()
BEGIN = to_ns(datetime(2026, 11, 14, tzinfo=UTC))
LATER = BEGIN + 30 * DAY_NS
MODELS = ("gpt-4o-2024-08-06", "zeta-9")


def reports(*sent: Sent) -> list[Report]:
    return list(read_batch(body_of(*sent), is_json=False, book=BOOK).reports)


sents = st.builds(
    lambda n, at, ms, model, feature, user, ttft, failed: Sent(
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
                **({"user.id": user} if user else {}),
                **({"gen_ai.response.time_to_first_chunk": ttft} if ttft else {}),
            }
        ),
    ),
    n=st.integers(1, 60),
    at=st.integers(0, 4 * 24 * 3600 - 1),
    ms=st.integers(1, 60_000),
    model=st.sampled_from(MODELS),
    feature=st.sampled_from(["chat", "draft"]),
    user=st.sampled_from(["", "ann", "ben"]),
    ttft=st.sampled_from([0, 0.1, 2.0]),
    failed=st.booleans(),
)


def question(
    start: int, end: int, interval: Interval | None, zone: str, group_by: tuple[str, ...], model: str | None,
    order: str | None,
) -> UsageQuery:  # fmt: skip
    return UsageQuery(
        from_ns=start,
        to_ns=end,
        edges=interval and list(edges(interval, start, end, ZoneInfo(zone))),
        group_by=group_by,
        filters={"model": (model,)} if model else {},
        order=order,
        limit=2 if order else None,
    )


queries = st.builds(
    lambda start, length, interval, zone, group_by, model, order: question(
        BEGIN + start * 1_000_000_000,
        BEGIN + (start + (length % 7_200 if interval == "minute" else length)) * 1_000_000_000,
        interval,
        zone,
        group_by,
        model,
        order,
    ),
    start=st.integers(-3600, 3 * 24 * 3600),
    length=st.integers(1, 4 * 24 * 3600),
    interval=st.none() | st.sampled_from(INTERVALS),
    zone=st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York"]),
    group_by=st.sampled_from(
        [(), ("model",), ("feature",), ("model", "feature"), ("feature", "status"), ("user",), ("user", "feature")]
    ),
    model=st.none() | st.sampled_from(MODELS),
    order=st.none() | st.sampled_from(["cost_nano_usd", "calls"]),
)


@given(
    st.lists(st.tuples(st.lists(sents, max_size=8), st.sampled_from([None, ANY, FEW])), max_size=4),
    st.lists(queries, min_size=3, max_size=8),
)
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_rollups_equal_calls_at_any_moment(
    two_ledgers: Ledgers, rounds: list[tuple[list[Sent], Fewest | None]], asked: list[UsageQuery]
) -> None:
    summed, _ = emptied(two_ledgers)
    for sent, fewest in rounds:
        for engine in two_ledgers:
            SqlStore(engine).write(reports(*sent), NOW_NS)
        if fewest:
            sum_up_all(summed, BEGIN + 9 * DAY_NS, fewest=fewest)
            forget_details(summed, BEGIN + 5 * DAY_NS)
            assert verify(summed) == []
    assert_equal_answers(two_ledgers, asked)


@BOTH_BACKENDS
def test_a_month_is_read_from_days_and_a_late_call_is_seen_at_once(engine: Engine) -> None:
    store = SqlStore(engine)
    early, late = (
        Sent(trace=1, attributes=chat(), started_at_ns=BEGIN + 5),
        Sent(trace=2, attributes=chat(), started_at_ns=BEGIN + 7),
    )
    query = UsageQuery(from_ns=BEGIN, to_ns=LATER)
    store.write(reports(early), NOW_NS)
    assert sum_up_all(engine, LATER, fewest=ANY) == len(LENGTHS_NS)
    assert sum_up_all(engine, LATER) == 0
    assert store.usage(query)[0].calls == 1
    store.write(reports(late), NOW_NS)
    assert store.usage(query)[0].calls == 2
    with engine.connect() as connection:
        assert set(connection.execute(select(PERIODS.c.stale)).scalars()) == {True}
    assert sum_up_all(engine, LATER) == len(LENGTHS_NS)
    assert (store.usage(query)[0].calls, store.usage(query)[0].cost_nano_usd) == (2, 7_000_000)
    assert verify(engine) == []


@BOTH_BACKENDS
def test_verify_names_the_period_that_is_wrong(engine: Engine) -> None:
    SqlStore(engine).write(reports(Sent(attributes=chat(), started_at_ns=BEGIN)), NOW_NS)
    sum_up_all(engine, LATER, fewest=ANY)
    assert verify(engine) == []
    add_to_rollups(engine, "cost_nano_usd", 1, whole(HOUR_NS))
    found = verify(engine)
    assert {line.partition(":")[0] for line in found} == {"hour 2026-11-14T00"}
    assert "cost_nano_usd" in found[0]
    with engine.begin() as connection:
        connection.execute(delete(PERIODS))
    assert "not listed" in verify(engine)[0]


@BOTH_BACKENDS
def test_a_call_that_comes_while_its_hour_is_summed_up_is_not_lost(engine: Engine) -> None:
    store = SqlStore(engine)
    store.write(reports(Sent(trace=1, attributes=chat(), started_at_ns=BEGIN)), NOW_NS)
    late = reports(Sent(trace=2, attributes=chat(), started_at_ns=BEGIN + 1))
    waiting = [late]

    def write_once(connection: Connection, *_: object) -> None:
        """As another process would, between the look at the calls and the writing of their sums."""
        if waiting and "count(*)" in str(_[1]):
            store.write(waiting.pop(), NOW_NS)

    claim = claim_stale(engine, LATER)
    event.listen(engine, "after_cursor_execute", write_once)
    assert sum_up(engine, [(HOUR_NS, BEGIN)], claim, LATER, fewest=ANY) == 0
    event.remove(engine, "after_cursor_execute", write_once)
    assert not waiting
    sum_up_all(engine, LATER, fewest=ANY)
    assert store.usage(UsageQuery(from_ns=BEGIN, to_ns=LATER))[0].calls == 2
    assert verify(engine) == []


@BOTH_BACKENDS
def test_minutes_are_kept_for_the_last_days_only(engine: Engine) -> None:
    SqlStore(engine).write(reports(Sent(attributes=chat(), started_at_ns=BEGIN)), NOW_NS)
    sum_up_all(engine, BEGIN + DAY_NS, fewest=ANY)
    minutes = select(func.count()).where(ROLLUPS.c.length_ns == MINUTE_NS, ROLLUPS.c.section == Section.RANKED)
    with engine.connect() as connection:
        assert connection.execute(minutes).scalar() == 9
    assert forget_details(engine, BEGIN + 2 * DAY_NS) == 0
    assert forget_details(engine, BEGIN + 4 * DAY_NS) == 1
    with engine.connect() as connection:
        assert connection.execute(minutes).scalar() == 0
    assert verify(engine) == []


@BOTH_BACKENDS
def test_a_period_with_few_calls_is_not_summed_up_by_dimensions(engine: Engine) -> None:
    SqlStore(engine).write(reports(Sent(attributes=chat(), started_at_ns=BEGIN)), NOW_NS)
    assert sum_up_all(engine, LATER) == len(LENGTHS_NS)
    with engine.connect() as connection:
        lengths = set(connection.execute(select(ROLLUPS.c.length_ns)).scalars())
        assert lengths == {DAY_NS, 7 * DAY_NS}
        assert set(connection.execute(select(PERIODS.c.kept).where(PERIODS.c.length_ns == DAY_NS)).scalars()) == {1}


@BOTH_BACKENDS
def test_groups_are_put_in_order_by_any_measure_though_there_are_none(engine: Engine) -> None:
    store = SqlStore(engine)
    sent = [
        Sent(
            trace=n,
            span=n,
            started_at_ns=BEGIN + (n - 1) * HOUR_NS,
            attributes=chat(**{"gen_ai.response.model": model, "gen_ai.response.id": model}),
        )
        for n, model in enumerate(MODELS, 1)
    ]
    store.write(reports(*sent), NOW_NS)
    sum_up_all(engine, LATER, fewest=ANY)
    for order in ("calls", "cost_nano_usd", "input_tokens", "avoided_nano_usd"):
        for start, found in ((BEGIN, []), (BEGIN + HOUR_NS, [(MODELS[1],)])):
            rows = store.usage(
                UsageQuery(
                    from_ns=start, to_ns=start + HOUR_NS, group_by=("model",), order=order, limit=2,
                    filters={"model": (MODELS[1],)},
                )
            )  # fmt: skip
            assert [row.group for row in rows] == found


@BOTH_BACKENDS
def test_sums_below_zero_stay_what_they_are(engine: Engine) -> None:
    store = SqlStore(engine)
    sent = [Sent(trace=n, span=n, attributes=chat(), started_at_ns=BEGIN + n) for n in (1, 2)]
    store.write(reports(*sent), NOW_NS)
    with engine.begin() as connection:
        connection.execute(update(CALLS).where(CALLS.c.trace_id.endswith("1")).values(cost_nano_usd=-5_000_000))
    sum_up_all(engine, LATER, fewest=ANY)
    (row,) = store.usage(UsageQuery(from_ns=BEGIN, to_ns=LATER))
    assert (row.cost_nano_usd, row.avoided_nano_usd, row.calls) == (-1_500_000, 0, 2)
    assert verify(engine) == []
