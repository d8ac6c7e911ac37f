"""Tenants and users stand in several rows of sums, those who call most in the first."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from outlay.prices import PriceBook
from outlay_collector.ingest import read_batch
from outlay_collector.periods import to_ns
from outlay_collector.rolling import sum_up_all
from outlay_collector.store.engine import reading
from outlay_collector.store.grains import DAY_NS, HOUR_NS, MINUTE_NS
from outlay_collector.store.query import UsageQuery, UsageRow
from outlay_collector.store.rollups import NAMES, ROLLUPS
from outlay_collector.store.sql import SqlStore
from sqlalchemy import Engine, select

from tests.collector.fewest import ANY
from tests.collector.sending import BOTH_BACKENDS, Sent, body_of, chat

BEGIN = to_ns(datetime(2026, 11, 14, tzinfo=UTC))
CALLERS = [*[1_299] * 40, *[7] * 30, *[640] * 20, *range(1_300)]
"""Of 1,300 the last calls most, then number 7, then one in the middle, in the first minutes; all others once."""
LATER = BEGIN + 2 * DAY_NS
WINDOWS = [
    (BEGIN, BEGIN + DAY_NS),
    (BEGIN + 2 * MINUTE_NS, BEGIN + 9 * MINUTE_NS),
    (BEGIN + 5 * MINUTE_NS, BEGIN + 2 * HOUR_NS),
]


def write(engine: Engine) -> None:
    step = HOUR_NS // len(CALLERS)
    sent = []
    for n, caller in enumerate(CALLERS, 1):
        said = {"gen_ai.response.id": f"r{n}", "user.id": f"user-{caller}", "outlay.tenant": f"tenant-{caller}"}
        sent.append(Sent(trace=n, span=n, started_at_ns=BEGIN + n * step, duration_ms=n, attributes=chat(**said)))
    SqlStore(engine).write(list(read_batch(body_of(*sent), is_json=False, book=PriceBook.bundled()).reports), LATER)


def answers(engine: Engine, name: str) -> list[list[UsageRow]]:
    """Of one who calls much, of one who does not, of both, of the greatest and of all; by bucket too."""
    found = []
    for start, end in WINDOWS:
        for who in (["1299"], ["99"], ["7", "900"], []):
            filters = {name: [f"{name}-{each}" for each in who]} if who else {}
            for edges in (None, [start, start + 4 * MINUTE_NS, end]):
                asked = UsageQuery(from_ns=start, to_ns=end, edges=edges, group_by=(name,), filters=filters)
                found.append(SqlStore(engine).usage(asked))
        most = UsageQuery(from_ns=start, to_ns=end, group_by=(name,), order="calls", limit=3)
        found.append(SqlStore(engine).usage(most))
    return found


@BOTH_BACKENDS
@pytest.mark.parametrize("name", ["tenant", "user"])
def test_what_is_asked_of_some_is_the_same_whatever_rows_they_stand_in(engine: Engine, name: str) -> None:
    write(engine)
    of_calls = answers(engine, name)
    sum_up_all(engine, LATER, fewest=ANY)
    assert answers(engine, name) == of_calls
    assert all(of_calls[:8])


@BOTH_BACKENDS
def test_who_calls_most_in_the_first_calls_summed_up_has_the_lowest_id(engine: Engine) -> None:
    write(engine)
    sum_up_all(engine, LATER, fewest=ANY)
    with reading(engine) as connection:
        ids = {row.name: row.id for row in connection.execute(select(NAMES))}
        parts = select(ROLLUPS.c.part).where(ROLLUPS.c.length_ns == DAY_NS).distinct()
        assert sorted(connection.scalars(parts)) == [0, 1, 2, 3]
    assert ids["user-1299"] < ids["user-7"] < ids["user-640"] < min(ids["user-0"], ids["user-1298"])
    assert max(ids["user-640"], ids["tenant-640"]) < 128
