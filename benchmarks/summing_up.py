"""What it costs to sum up calls that are stored, as the collector does it beside its other work and later."""

from __future__ import annotations

import time

from outlay_collector.rolling import sum_up_all
from outlay_collector.store.engine import open_engine, reading
from outlay_collector.store.fetching import read_blocks
from outlay_collector.store.grains import DAY_NS, whole
from outlay_collector.store.marking import mark_stale
from outlay_collector.store.rollups import MEASURES
from outlay_collector.store.schema import CALLS
from sqlalchemy import Connection, Engine, func, select


def mark_all(url: str) -> None:
    """Say of all calls that they are to be summed up, as the collector says it in the transaction that writes them."""
    engine = open_engine(url)
    with engine.begin() as connection:
        mark_stale(connection, connection.execute(select(CALLS.c.started_at_ns)).scalars().all())
    engine.dispose()


def sum_up(url: str) -> float:
    """The CPU seconds it takes to sum up all that is marked, after which every call must be in the sums of its day."""
    engine = open_engine(url)
    before = time.process_time()
    sum_up_all(engine, time.time_ns() + 8 * DAY_NS)
    used = time.process_time() - before
    _check(engine)
    engine.dispose()
    return used


def _check(engine: Engine) -> None:
    with reading(engine) as connection:
        stored = connection.scalar(select(func.count()).select_from(CALLS))
        assert (held := _in_days(connection)) == stored, f"{held} of {stored} calls are summed up"


def _in_days(connection: Connection) -> int:
    """How many calls the sums of all days hold, by no dimension."""
    days = read_blocks(connection, 0, whole(DAY_NS), 0, 2**63 - 1)
    return sum(int(day.figures.measures[MEASURES.index("calls")].sum()) for _, day in days)
