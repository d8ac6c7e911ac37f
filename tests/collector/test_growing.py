"""A quarter that is not over holds what came so far: what is asked of it is answered the same, whatever comes then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outlay.prices import PriceBook
from outlay_collector.billing import Report
from outlay_collector.ingest import read_batch
from outlay_collector.periods import INTERVALS, edges, to_ns
from outlay_collector.rolling import grow_all, sum_up_all
from outlay_collector.store import unrolled
from outlay_collector.store.claiming import claim_open
from outlay_collector.store.grains import HOUR_NS, MINUTE_NS, MINUTES, QUARTER_NS, whole
from outlay_collector.store.growing import grow
from outlay_collector.store.query import UsageQuery
from outlay_collector.store.rollups import PERIODS, Kept
from outlay_collector.store.segments import Listed, Segment, plan
from outlay_collector.store.sql import SqlStore
from outlay_collector.store.summing import FEWEST, Fewest
from outlay_collector.store.verifying import verify
from sqlalchemy import Connection, Engine, event, select

from tests.collector.fewest import ANY, FEW
from tests.collector.ledgers import Ledgers, assert_equal_answers, emptied
from tests.collector.sending import BOTH_BACKENDS, Sent, body_of, chat
from tests.collector.spoiling import add_to_rollups

BOOK = PriceBook.bundled()
NS = 1_000_000_000
BEGIN = to_ns(datetime(2026, 11, 14, tzinfo=UTC))
WRITTEN = BEGIN + 890 * NS
"""When all calls come: before the quarter is over."""
GROWN = WRITTEN + 65 * NS
OVER = BEGIN + HOUR_NS
ALL = UsageQuery(from_ns=BEGIN, to_ns=GROWN)


def reports(*sent: Sent) -> list[Report]:
    return list(read_batch(body_of(*sent), is_json=False, book=BOOK).reports)


def call(n: int, at_s: int = 5, told_by: int = 0, user: str = "ann", **attributes: str) -> Sent:
    """The n-th call. Told of a second time by another span it is changed."""
    said = {"gen_ai.response.id": f"r{n}", "user.id": user, **attributes}
    return Sent(trace=n + 100 * told_by, span=n, started_at_ns=BEGIN + at_s * NS, attributes=chat(**said))


def grow_now(engine: Engine, fewest: Fewest = ANY, fewest_new: int = 1, now_ns: int = GROWN) -> bool:
    claim = claim_open(engine, now_ns)
    return sum(grow(engine, period, claim, now_ns, fewest, fewest_new) for period in claim.periods) > 0


def held(engine: Engine) -> list[tuple[int | None, Kept]]:
    wanted = select(PERIODS.c.held_id, PERIODS.c.kept)
    with engine.connect() as connection:
        rows = connection.execute(wanted.where(PERIODS.c.length_ns == QUARTER_NS, PERIODS.c.start_ns == BEGIN))
        return [(held_id, Kept(kept)) for held_id, kept in rows]


sents = st.builds(
    lambda n, at_s, told_by, user, feature: call(n, at_s, told_by, user, **{"outlay.feature": feature}),
    n=st.integers(1, 30),
    at_s=st.integers(-600, 880),
    told_by=st.integers(0, 2),
    user=st.sampled_from(["ann", "ben"]),
    feature=st.sampled_from(["chat", "draft"]),
)
queries = st.builds(
    lambda start, length, interval, group_by: UsageQuery(
        from_ns=BEGIN + start * NS,
        to_ns=BEGIN + (start + length) * NS,
        edges=interval and list(edges(interval, BEGIN + start * NS, BEGIN + (start + length) * NS, ZoneInfo("UTC"))),
        group_by=group_by,
        filters={"user": ("ann",)} if "user" in group_by else {},
    ),
    start=st.sampled_from([-900, -600, 0, 30, 60]),
    length=st.integers(1, 3_600),
    interval=st.none() | st.sampled_from(INTERVALS),
    group_by=st.sampled_from([(), ("feature",), ("feature", "status"), ("user",), ("session",)]),
)


@given(
    st.lists(
        st.tuples(st.lists(sents, max_size=8), st.sampled_from(["", "grow", "sum up"]), st.sampled_from([ANY, FEW])),
        max_size=6,
    ),
    st.lists(queries, min_size=4, max_size=10),
)
@settings(max_examples=100, suppress_health_check=list(HealthCheck))
def test_what_is_held_and_what_came_since_equal_the_calls(
    two_ledgers: Ledgers, rounds: list[tuple[list[Sent], str, Fewest]], asked: list[UsageQuery]
) -> None:
    growing, _ = emptied(two_ledgers)
    for sent, then, fewest in rounds:
        for engine in two_ledgers:
            SqlStore(engine).write(reports(*sent), WRITTEN)
        if then == "grow":
            grow_now(growing, fewest)
        elif then:
            sum_up_all(growing, OVER, fewest=fewest)
        assert verify(growing) == []
    assert_equal_answers(two_ledgers, asked)


@BOTH_BACKENDS
def test_calls_that_come_later_are_read_beside_what_is_held(engine: Engine) -> None:
    store = SqlStore(engine)
    store.write(reports(call(1), call(2)), WRITTEN)
    assert grow_now(engine)
    store.write(reports(call(3), call(4, user="ben")), WRITTEN)
    ((held_id, kept),) = held(engine)
    assert held_id == 2
    assert kept & (Kept.ONE | Kept.ALL | Kept.USERS | Kept.MINUTES) == kept & ~Kept.MINUTES_ONE
    (row,) = store.usage(ALL)
    assert (row.calls, row.cost_nano_usd) == (4, 4 * 3_500_000)
    by_user = store.usage(UsageQuery(from_ns=BEGIN, to_ns=GROWN, group_by=("user",)))
    assert [(row.group, row.calls) for row in by_user] == [(("ann",), 3), (("ben",), 1)]
    assert grow_now(engine)
    assert held(engine)[0][0] == 4
    assert store.usage(ALL)[0].calls == 4
    assert verify(engine) == []


@BOTH_BACKENDS
def test_more_calls_since_than_there_should_be_are_read_all_the_same(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqlStore(engine)
    store.write(reports(call(1), call(2)), WRITTEN)
    assert grow_now(engine)
    later = [replace(call(n, user=f"user-{n % 4}"), duration_ms=100 * n) for n in range(3, 30)]
    store.write(reports(*later), WRITTEN)
    asked = [ALL, replace(ALL, group_by=("user",)), replace(ALL, group_by=("user",), order="calls", limit=2)]
    answers = [store.usage(each) for each in asked]
    assert answers[0][0].calls == 29
    assert answers[0][0].latency_ms.p50 == pytest.approx(1_500, rel=0.05)
    monkeypatch.setattr(unrolled, "_FEW", 5)
    assert [store.usage(each) for each in asked] == answers


@BOTH_BACKENDS
def test_what_holds_a_call_that_is_changed_is_not_read(engine: Engine) -> None:
    store = SqlStore(engine)
    store.write(reports(call(1), call(2)), WRITTEN)
    assert grow_now(engine)
    store.write(reports(call(3)), WRITTEN)
    store.write(reports(call(3, told_by=1)), WRITTEN)
    assert held(engine)[0][0] == 2  # the third was none of them
    store.write(reports(call(1, told_by=1)), WRITTEN)
    assert held(engine)[0][0] is None
    assert store.usage(ALL)[0].calls == 3
    assert grow_now(engine)
    assert store.usage(ALL)[0].calls == 3
    assert verify(engine) == []


@BOTH_BACKENDS
def test_a_call_that_is_changed_while_a_quarter_grows_stops_it_and_a_new_one_does_not(engine: Engine) -> None:
    store = SqlStore(engine)
    store.write(reports(call(1), call(2)), WRITTEN)
    waiting = [reports(call(2, told_by=1)), reports(call(3))]

    def write_once(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        """As another process would, between the look at the calls and the writing of their sums."""
        if waiting and "latency_bin" in statement and "LIMIT" in statement:
            store.write(waiting.pop(), WRITTEN)

    event.listen(engine, "after_cursor_execute", write_once)
    assert grow_now(engine)
    assert held(engine)[0][0] == 2
    assert not grow_now(engine)
    event.remove(engine, "after_cursor_execute", write_once)
    assert not waiting
    assert held(engine)[0][0] is None
    assert store.usage(ALL)[0].calls == 3
    assert verify(engine) == []


@BOTH_BACKENDS
def test_a_quarter_that_is_over_goes_on_from_what_it_held_and_holds_it_when_a_call_is_late(engine: Engine) -> None:
    store = SqlStore(engine)
    store.write(reports(call(1), call(2)), WRITTEN)
    assert grow_now(engine)
    store.write(reports(call(3, user="ben")), WRITTEN)
    sum_up_all(engine, OVER, fewest=ANY)
    assert verify(engine) == []
    assert held(engine)[0][0] == 3
    store.write(reports(call(4)), WRITTEN)
    by_user = store.usage(UsageQuery(from_ns=BEGIN, to_ns=OVER, group_by=("user",)))
    assert [(row.group, row.calls) for row in by_user] == [(("ann",), 3), (("ben",), 1)]
    assert verify(engine) == []
    add_to_rollups(engine, "calls", 1, whole(QUARTER_NS))
    assert {line.partition(":")[0] for line in verify(engine)} == {"quarter 2026-11-14T00"}


def test_a_quarter_does_not_grow_by_few_calls_nor_by_those_that_just_came(engine: Engine) -> None:
    store = SqlStore(engine)
    store.write(reports(*(call(n) for n in range(1, 100))), WRITTEN)
    assert grow_all(engine, GROWN) == 0
    assert not grow_now(engine, fewest_new=100)
    store.write(reports(call(100)), WRITTEN)
    assert not grow_now(engine, fewest_new=100, now_ns=WRITTEN + 20 * NS)
    assert grow_now(engine, FEWEST, fewest_new=100)
    assert held(engine) == [(100, Kept(0))]  # too few to be summed up
    assert store.usage(ALL)[0].calls == 100
    store.write(reports(call(101), call(102)), WRITTEN)
    assert not grow_now(engine)  # three are a thirty-second of those there are
    store.write(reports(call(103)), WRITTEN)
    assert grow_now(engine)
    assert store.usage(ALL)[0].calls == 103


def test_a_window_that_ends_after_what_is_held_reads_it_and_one_that_ends_before_reads_minutes() -> None:
    quarter = 700 * 7 * 24 * HOUR_NS
    listed = {quarter: Listed(0, Kept.ONE | Kept.MINUTES, 40, quarter + 5 * MINUTE_NS)}
    until = quarter + 6 * MINUTE_NS + 1

    def periods(wanted: Mapping[int, object]) -> dict[int, dict[int, Listed]]:
        return {length: listed if length == QUARTER_NS else {quarter: Listed(0)} for length in wanted}

    assert plan([(0, quarter, until)], Kept.ONE, {MINUTES: Kept.MINUTES}, periods) == [
        Segment(0, whole(QUARTER_NS), quarter, quarter + QUARTER_NS),
        Segment(0, None, quarter, until, 40),
    ]
    assert plan([(0, quarter, quarter + 2 * MINUTE_NS)], Kept.ONE, {MINUTES: Kept.MINUTES}, periods) == [
        Segment(0, MINUTES, quarter, quarter + 2 * MINUTE_NS),
        Segment(0, None, quarter, quarter + 2 * MINUTE_NS, 40),
    ]
    assert plan([(0, quarter, until)], Kept.ALL, {}, periods) == [Segment(0, None, quarter, until)]
