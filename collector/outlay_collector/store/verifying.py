"""Proves that rollups equal calls: every period that has calls is listed, and every sum that is kept is theirs.

Where calls may have been removed the sums are all there is: what is left to prove is that a day equals its quarters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from outlay_collector.periods import rfc3339
from outlay_collector.store.engine import reading
from outlay_collector.store.rollups import (
    BINS,
    DAY_NS,
    LATENCY,
    MEASURES,
    PERIODS,
    QUARTER_NS,
    ROLLUPS,
    measures_of_calls,
    measures_of_rollups,
)
from outlay_collector.store.schema import CALLS


def verify(engine: Engine) -> list[str]:
    """What is wrong, a line each, by time; empty where all is right."""
    with reading(engine) as connection:
        found = [line for length_ns in (QUARTER_NS, DAY_NS) for line in _differences(connection, length_ns)]
        return [*found, *_closed_differences(connection)]


def _differences(connection: Connection, length_ns: int) -> Iterator[str]:
    listed = select(PERIODS.c.start_ns, PERIODS.c.stale, PERIODS.c.closed).where(PERIODS.c.length_ns == length_ns)
    exempt = {row.start_ns: row.stale or row.closed for row in connection.execute(listed)}
    start = (CALLS.c.started_at_ns - CALLS.c.started_at_ns % length_ns).label("start")
    truth = _sums(connection.execute(select(start, *measures_of_calls()).group_by(start)))
    kept = select(ROLLUPS.c.start_ns, *measures_of_rollups()).where(ROLLUPS.c.length_ns == length_ns)
    summed = _sums(connection.execute(kept.group_by(ROLLUPS.c.start_ns)))
    counted = _histograms(connection, length_ns)
    for begin in sorted(truth.keys() | summed.keys()):
        name = f"{'day' if length_ns == DAY_NS else 'quarter'} {rfc3339(begin)}"
        if begin not in exempt:
            yield f"{name}: it has calls but is not listed"
        elif not exempt[begin]:
            theirs, ours = truth.get(begin, {}), summed.get(begin, {})
            for measure in MEASURES:
                if theirs.get(measure) != ours.get(measure):
                    yield f"{name}: {measure} is {ours.get(measure)} in the rollup and {theirs.get(measure)} in calls"
            if counted.get(begin) != theirs.get("calls"):
                yield f"{name}: {counted.get(begin)} calls in the histogram, {theirs.get('calls')} in calls"


def _closed_differences(connection: Connection) -> Iterator[str]:
    closed = select(PERIODS.c.start_ns).where(PERIODS.c.length_ns == DAY_NS, PERIODS.c.closed)
    day = (ROLLUPS.c.start_ns - ROLLUPS.c.start_ns % DAY_NS).label("day")
    within = day.in_(closed.scalar_subquery())

    def sums(length_ns: int) -> dict[int, dict[str, int | None]]:
        kept = select(day, *measures_of_rollups()).where(ROLLUPS.c.length_ns == length_ns, within)
        return _sums(connection.execute(kept.group_by(day)))

    days, quarters = sums(DAY_NS), sums(QUARTER_NS)
    for begin in sorted(days.keys() | quarters.keys()):
        if days.get(begin) != quarters.get(begin):
            yield f"day {rfc3339(begin)}: it is not the sum of its quarters, and its calls were removed"


def _sums(rows: Any) -> dict[int, dict[str, int | None]]:
    return {
        int(start): {name: None if sum_ is None else int(sum_) for name, sum_ in zip(MEASURES, sums, strict=True)}
        for start, *sums in rows
    }


def _histograms(connection: Connection, length_ns: int) -> dict[int, int]:
    calls = (
        select(ROLLUPS.c.start_ns, func.sum(BINS.c.calls))
        .join_from(ROLLUPS, BINS, BINS.c.rollup_id == ROLLUPS.c.id)
        .where(ROLLUPS.c.length_ns == length_ns, BINS.c.kind == LATENCY)
        .group_by(ROLLUPS.c.start_ns)
    )
    return {start: int(number) for start, number in connection.execute(calls)}
