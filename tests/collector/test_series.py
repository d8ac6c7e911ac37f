"""A day's hours and quarters stand in one row each besides, for zones whose days and hours are none of UTC's."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from outlay.prices import PriceBook
from outlay_collector.ingest import read_batch
from outlay_collector.periods import to_ns
from outlay_collector.rolling import sum_up_all
from outlay_collector.store.engine import reading
from outlay_collector.store.grains import DAY_NS, HOUR_NS, HOURS, QUARTER_NS, QUARTERS, Grain
from outlay_collector.store.query import UsageQuery, UsageRow
from outlay_collector.store.reading import planned, wanted_ids
from outlay_collector.store.rollups import PERIODS, Kept, grouping_for
from outlay_collector.store.sql import SqlStore
from outlay_collector.store.summing import Fewest
from outlay_collector.store.verifying import verify
from sqlalchemy import Engine, select

from tests.collector.fewest import ANY, EVERY
from tests.collector.sending import BOTH_BACKENDS, Sent, body_of, chat
from tests.collector.spoiling import add_to_rollups

BEGIN = to_ns(datetime(2026, 11, 14, tzinfo=UTC))
LATER = BEGIN + 4 * DAY_NS
CALLERS = 1_300
SEVERAL_AN_HOUR = Fewest(
    alone={**EVERY, QUARTER_NS: 26, HOUR_NS: 106}, together=EVERY, users={**EVERY, HOUR_NS: 109}, a_minute=0, a_user=0
)
"""By far not every quarter and hour is summed up, and some that are lack users; yet both days have their series."""


def write(engine: Engine) -> None:
    """Some calls of every caller within two days; the last few call most."""
    sent = []
    for n in range(1, 4 * CALLERS + 1):
        caller = n % CALLERS if n % 3 else CALLERS - 1 - n % 5
        said = {"gen_ai.response.id": f"r{n}", "user.id": f"user-{caller}", "outlay.tenant": f"tenant-{caller}"}
        at_ns = BEGIN + (n * 7_919_000_000_000 + n * n * 31_000_000) % (2 * DAY_NS)
        sent.append(Sent(trace=n, span=n, started_at_ns=at_ns, duration_ms=n, attributes=chat(**said)))
    SqlStore(engine).write(list(read_batch(body_of(*sent), is_json=False, book=PriceBook.bundled()).reports), LATER)


def edges(shift_ns: int, length_ns: int) -> list[int]:
    return list(range(BEGIN + shift_ns, BEGIN + 2 * DAY_NS + 1, length_ns))


ASKED = [
    edges(2 * QUARTER_NS, HOUR_NS),
    edges(QUARTER_NS, HOUR_NS),
    edges(0, HOUR_NS),
    edges(5 * HOUR_NS, DAY_NS),
    edges(18 * HOUR_NS + 2 * QUARTER_NS, 8 * HOUR_NS),
]


def answers(engine: Engine, name: str, callers: list[str]) -> list[list[UsageRow]]:
    filters = {name: callers} if callers else {}
    return [
        SqlStore(engine).usage(
            UsageQuery(from_ns=some[0], to_ns=some[-1], edges=some, group_by=(name,), filters=filters)
        )
        for some in ASKED
    ]


def grains_read(engine: Engine, name: str, callers: list[str], some: list[int]) -> set[Grain | None]:
    grouping = grouping_for([name])
    assert grouping is not None
    buckets = [(n, start, end) for n, (start, end) in enumerate(pairwise(some))]
    with reading(engine) as connection:
        wanted = wanted_ids(connection, {name: callers} if callers else {})
        return {segment.grain for segment in planned(connection, buckets, grouping, wanted)}


@BOTH_BACKENDS
@pytest.mark.parametrize("fewest", [ANY, SEVERAL_AN_HOUR], ids=["all summed up", "some"])
def test_answers_are_those_of_the_calls(engine: Engine, fewest: Fewest) -> None:
    write(engine)
    often, seldom = f"{CALLERS - 1}", "17"
    asked = [("user", [f"user-{often}"]), ("user", [f"user-{seldom}"]), ("tenant", [f"tenant-{often}"]), ("model", [])]
    of_calls = [answers(engine, *each) for each in asked]
    sum_up_all(engine, LATER, fewest=fewest)
    assert [answers(engine, *each) for each in asked] == of_calls
    assert all(rows for found in of_calls for rows in found)
    assert verify(engine) == []
    for name, callers in (asked[0], asked[2], asked[3]):
        assert grains_read(engine, name, callers, ASKED[0]) == {QUARTERS}
        assert grains_read(engine, name, callers, ASKED[2]) == {HOURS}


@BOTH_BACKENDS
def test_of_who_calls_seldom_among_many_there_is_no_series(engine: Engine) -> None:
    write(engine)
    sum_up_all(engine, LATER, fewest=ANY)
    with reading(engine) as connection:
        (ids,) = (wanted_ids(connection, {"user": [f"user-{n}" for n in range(CALLERS)]}) or {}).values()
    assert max(ids) >= 1_024
    assert not {HOURS, QUARTERS} & grains_read(engine, "user", [], ASKED[0]), "of all users it would lack some"


@BOTH_BACKENDS
def test_a_call_that_comes_late_is_in_the_answer_and_then_in_the_series(engine: Engine) -> None:
    write(engine)
    sum_up_all(engine, LATER, fewest=ANY)
    before = answers(engine, "model", [])[0]
    late = Sent(trace=9_999, span=9_999, started_at_ns=BEGIN + 7 * HOUR_NS, attributes=chat())
    SqlStore(engine).write(list(read_batch(body_of(late), is_json=False, book=PriceBook.bundled()).reports), LATER)
    assert QUARTERS in grains_read(engine, "model", [], ASKED[0])
    told = answers(engine, "model", [])[0]
    assert sum(row.calls for row in told) == sum(row.calls for row in before) + 1
    sum_up_all(engine, LATER, fewest=ANY)
    assert grains_read(engine, "model", [], ASKED[0]) == {QUARTERS}
    assert answers(engine, "model", [])[0] == told


@BOTH_BACKENDS
def test_a_series_that_is_wrong_is_found(engine: Engine) -> None:
    write(engine)
    sum_up_all(engine, LATER, fewest=ANY)
    add_to_rollups(engine, "calls", 1, HOURS)
    found = verify(engine)
    assert found
    assert all(line.startswith("hour ") for line in found)


def test_a_day_of_few_calls_has_none(engine: Engine) -> None:
    write(engine)
    sum_up_all(engine, LATER, fewest=Fewest({**EVERY, HOUR_NS: 200, QUARTER_NS: 200}, EVERY, EVERY, 0, 0))
    days = select(PERIODS.c.kept).where(PERIODS.c.length_ns == DAY_NS)
    with reading(engine) as connection:
        assert not any(kept & (Kept.HOURS | Kept.QUARTERS) for kept in connection.scalars(days))
