"""The first of many are the same whether all are read or only those who may be among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outlay.prices import PriceBook
from outlay_collector.billing import Report
from outlay_collector.ingest import read_batch
from outlay_collector.periods import edges, to_ns
from outlay_collector.rolling import sum_up_all
from outlay_collector.store.claiming import claim_open
from outlay_collector.store.grains import DAY_NS, HOUR_NS
from outlay_collector.store.growing import grow
from outlay_collector.store.query import UsageQuery
from outlay_collector.store.rollups import ROLLUPS, Section
from outlay_collector.store.schema import CALLS
from outlay_collector.store.sql import SqlStore
from outlay_collector.store.summing import Fewest
from outlay_collector.store.verifying import verify
from sqlalchemy import Connection, Engine, delete, event, select, update

from tests.collector.fewest import ANY, FEW
from tests.collector.ledgers import Ledgers, assert_equal_answers, emptied
from tests.collector.sending import BOTH_BACKENDS, Sent, body_of, chat

BOOK = PriceBook.bundled()
NS = 1_000_000_000
BEGIN = to_ns(datetime(2026, 11, 14, tzinfo=UTC))
LATER = BEGIN + 12 * DAY_NS
IDS: Final = {1: 100, 2: 700, 3: 1_500, 4: 3_000, 5: 9_000, 6: 9_001, 7: 17_000, 8: 40_000, 9: 40_001}
"""Of who calls: in the first parts, and in three that are read if need be."""


def name_them(engine: Engine) -> None:
    rows = ", ".join(f"({id_}, '{kind}-{n}')" for kind, more in (("user", 0), ("tenant", 20)) for n, id_ in
                     ((n, id_ + more) for n, id_ in IDS.items()))  # fmt: skip
    with engine.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO rollup_names (id, name) VALUES {rows} ON CONFLICT DO NOTHING")


def call(n: int, at_s: int, who: int, tokens: int = 1_000) -> Sent:
    said = {"gen_ai.response.id": f"r{n}", "user.id": f"user-{who}", "outlay.tenant": f"tenant-{who}"}
    said_tokens = {"gen_ai.usage.input_tokens": tokens}
    return Sent(trace=n, span=n, started_at_ns=BEGIN + at_s * NS, attributes=chat(**said, **said_tokens))


def reports(sent: Sequence[Sent]) -> list[Report]:
    return list(read_batch(body_of(*sent), is_json=False, book=BOOK).reports)


def first(number: int, start_s: int, end_s: int, order: str = "calls", **said: Any) -> UsageQuery:
    within = {"from_ns": BEGIN + start_s * NS, "to_ns": BEGIN + end_s * NS}
    return UsageQuery(**{"group_by": ("user",), "order": order, "limit": number, **within, **said})


queries = st.builds(
    lambda start, length, number, order, dimension, interval: first(
        number, start, start + length, order, group_by=(dimension,),
        edges=interval
        and list(edges(interval, BEGIN + start * NS, BEGIN + (start + length) * NS, ZoneInfo("Asia/Kolkata"))),
    ),
    start=st.integers(0, 9 * 24 * 4).map(lambda quarters: quarters * 900) | st.integers(0, 9 * 24 * 3_600),
    length=st.integers(1, 9 * 24 * 3_600),
    number=st.integers(1, 4),
    order=st.sampled_from(["calls", "cost_nano_usd", "errors", "input_tokens"]),
    dimension=st.sampled_from(["user", "tenant"]),
    interval=st.none() | st.just("day"),
)  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.lists(
                st.tuples(
                    st.integers(0, 9 * 24 * 3_600), st.sampled_from([1, 1, 1, 2, 2, 3, *IDS]), st.integers(1, 5_000)
                ),
                max_size=25,
            ),
            st.sampled_from([ANY, FEW]),
            st.sampled_from([BEGIN, BEGIN + 5 * DAY_NS, LATER]),
        ),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
    st.lists(queries, min_size=6, max_size=12),
)
@settings(max_examples=80, suppress_health_check=list(HealthCheck))
def test_the_first_are_those_of_all_calls(
    two_ledgers: Ledgers,
    rounds: list[tuple[list[tuple[int, int, int]], Fewest, int]],
    some_below_zero: bool,
    asked: list[UsageQuery],
) -> None:
    summed, _ = emptied(two_ledgers)
    name_them(summed)
    number = 0
    for told, fewest, summed_up_at_ns in rounds:
        calls = [call(number + n, *each) for n, each in enumerate(told, 1)]
        number += len(calls)
        for engine in two_ledgers:
            SqlStore(engine).write(reports(calls), LATER)
            if some_below_zero:
                with engine.begin() as connection:
                    of_some = CALLS.c.user.in_(("user-5", "user-7")), CALLS.c.bill_key.endswith("3")
                    connection.execute(update(CALLS).where(*of_some).values(cost_nano_usd=-50_000_000))
        sum_up_all(summed, summed_up_at_ns, fewest=fewest)
        assert verify(summed) == []
    assert_equal_answers(two_ledgers, asked)


@contextmanager
def parts_read(engine: Engine) -> Iterator[list[str]]:
    """The parts of which first sections are read, as statements name them."""
    said: list[str] = []

    def note(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if f"section = {Section.RANKED:d}" in statement:
            said.append(statement.partition("part IN ")[2] or "all")

    event.listen(engine, "before_cursor_execute", note)
    yield said
    event.remove(engine, "before_cursor_execute", note)


def who(engine: Engine, asked: UsageQuery) -> list[str | None]:
    return [row.group[0] for row in SqlStore(engine).usage(asked)]


def test_parts_without_one_of_the_first_are_not_read(engine: Engine) -> None:
    name_them(engine)
    store = SqlStore(engine)
    much = [(at, caller) for at, caller in enumerate([1] * 30 + [2] * 20 + [3] * 10)]
    little = [(day * 86_400, caller) for day in range(8) for caller in (5, 7, 8)]
    store.write(reports([call(n, *each) for n, each in enumerate((*much, *little), 1)]), LATER)
    sum_up_all(engine, LATER, fewest=ANY)
    month = first(2, 900, 9 * 86_400 + 77)
    with parts_read(engine) as said:
        assert who(engine, first(2, 0, 9 * 86_400)) == ["user-1", "user-2"]
        assert said == ["(0, 1, 2, 3)"]
        assert who(engine, month) == ["user-5", "user-7"]  # the others called in the first quarter
    store.write(reports([call(100 + n, 3 * 86_400, 8) for n in range(40)]), LATER)
    for _ in range(2):
        assert who(engine, first(2, 0, 9 * 86_400)) == ["user-8", "user-1"]
        sum_up_all(engine, LATER, fewest=ANY)
    assert verify(engine) == []


@BOTH_BACKENDS
def test_who_calls_much_since_the_last_sum_is_one_of_the_first(engine: Engine) -> None:
    name_them(engine)
    store = SqlStore(engine)
    callers = [1] * 9 + [2] * 8 + [8] * 6
    store.write(reports([call(n, n, caller) for n, caller in enumerate(callers, 1)]), BEGIN + 60 * NS)
    claim = claim_open(engine, BEGIN + 100 * NS)
    assert all(grow(engine, period, claim, BEGIN + 100 * NS, ANY, 1) for period in claim.periods)
    assert who(engine, first(2, 0, 900)) == ["user-1", "user-2"]
    store.write(reports([call(n, n, 8) for n in range(30, 36)]), BEGIN + 60 * NS)
    assert who(engine, first(1, 0, 200)) == ["user-8"]
    assert who(engine, first(2, 0, 900)) == ["user-8", "user-1"]


@BOTH_BACKENDS
def test_who_has_less_than_nothing_elsewhere_is_one_of_the_first(engine: Engine) -> None:
    name_them(engine)
    calls = [(0, 7), (0, 7), (3_600, 7), (3_600, 7), (3_600, 1)]
    SqlStore(engine).write(reports([call(n, *each) for n, each in enumerate(calls, 1)]), LATER)
    with engine.begin() as connection:
        some = update(CALLS).where(CALLS.c.bill_key.in_(("openai:r1", "openai:r2")))
        connection.execute(some.values(cost_nano_usd=-5_000_000))
    sum_up_all(engine, LATER, fewest=ANY)
    assert who(engine, first(1, 0, 86_400, "cost_nano_usd")) == ["user-1"]
    assert who(engine, first(1, 3_600, 86_400, "cost_nano_usd")) == ["user-7"]


def test_all_are_read_where_a_period_does_not_say_what_one_has_at_most(engine: Engine) -> None:
    name_them(engine)
    calls = [(0, 1), *((day * 86_400, caller) for day in range(1, 9) for caller in (5, 8))]
    SqlStore(engine).write(reports([call(n, *each) for n, each in enumerate(calls, 1)]), LATER)
    sum_up_all(engine, LATER, fewest=ANY)
    with engine.begin() as connection:
        connection.execute(delete(ROLLUPS).where(ROLLUPS.c.section == Section.MOST))
    assert who(engine, first(1, 0, 9 * 86_400)) == ["user-5"]


@BOTH_BACKENDS
def test_what_one_has_at_most_is_proven_too(engine: Engine) -> None:
    name_them(engine)
    SqlStore(engine).write(reports([call(n, n * 600, n) for n in IDS]), LATER)
    sum_up_all(engine, LATER, fewest=ANY)
    assert verify(engine) == []
    most = ROLLUPS.c.section == Section.MOST
    with engine.begin() as connection:
        row = connection.execute(select(ROLLUPS).where(most, ROLLUPS.c.length_ns == HOUR_NS).limit(1)).one()
        key = [column == getattr(row, column.name) for column in ROLLUPS.primary_key]
        connection.execute(update(ROLLUPS).where(*key).values(packed=bytes(row.packed)[:-1] + b"\x7f"))
    (line,) = verify(engine)
    assert line.startswith("hour 2026-11-14T")
    assert "has at most is kept wrongly" in line


@pytest.mark.parametrize("order", ["calls", "cost_nano_usd"])
def test_more_are_wanted_than_the_first_parts_have(engine: Engine, order: str) -> None:
    name_them(engine)
    SqlStore(engine).write(reports([call(n, n * 60, n) for n in IDS]), LATER)
    sum_up_all(engine, LATER, fewest=ANY)
    assert len(who(engine, first(7, 0, 86_400, order))) == 7
    assert len(who(engine, first(50, 0, 86_400, order))) == len(IDS)
