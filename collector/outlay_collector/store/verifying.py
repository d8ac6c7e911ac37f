"""Proves that rollups equal calls: every period that has calls is listed, and every sum that is kept is theirs.

Where calls may have been removed the sums are all there is: what is left to prove is that a day equals its quarters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, func, select

from outlay_collector.periods import rfc3339
from outlay_collector.store.engine import reading
from outlay_collector.store.rollups import (
    BINS,
    DAY_NS,
    GROUPINGS,
    HOUR_NS,
    LATENCY,
    LENGTHS_NS,
    MEASURES,
    PERIODS,
    QUARTER_NS,
    ROLLUPS,
    measures_of_calls,
    measures_of_rollups,
)
from outlay_collector.store.schema import CALLS

_Sums = dict[int, dict[str, int | None]]
"""By the start of a period, its measures."""
_NAMES: Final = {QUARTER_NS: "quarter", HOUR_NS: "hour", DAY_NS: "day"}


def verify(engine: Engine) -> list[str]:
    """What is wrong, a line each, by time; empty where all is right."""
    with reading(engine) as connection:
        found = [line for length_ns in LENGTHS_NS for line in _differences(connection, length_ns)]
        return [*found, *_closed_differences(connection)]


def _differences(connection: Connection, length_ns: int) -> Iterator[str]:
    listed = select(PERIODS.c.start_ns, PERIODS.c.stale, PERIODS.c.closed).where(PERIODS.c.length_ns == length_ns)
    exempt = {row.start_ns: row.stale or row.closed for row in connection.execute(listed)}
    start = (CALLS.c.started_at_ns - CALLS.c.started_at_ns % length_ns).label("start")
    truth = _sums(connection.execute(select(start, *measures_of_calls()).group_by(start)))
    kept = select(ROLLUPS.c.grouping, ROLLUPS.c.start_ns, *measures_of_rollups()).where(
        ROLLUPS.c.length_ns == length_ns
    )
    summed = _by_grouping(connection.execute(kept.group_by(ROLLUPS.c.grouping, ROLLUPS.c.start_ns)))
    counted = _histograms(connection, length_ns)
    for begin in sorted(truth.keys() | {start for sums in summed for start in sums}):
        name = f"{_NAMES[length_ns]} {rfc3339(begin)}"
        if begin not in exempt:
            yield f"{name}: it has calls but is not listed"
        elif not exempt[begin]:
            theirs = truth.get(begin, {})
            for measure in MEASURES:
                wrong = {sums.get(begin, {}).get(measure) for sums in summed} - {theirs.get(measure)}
                if wrong:
                    yield f"{name}: {measure} is {wrong.pop()} in the rollup and {theirs.get(measure)} in calls"
            wrong = {calls.get(begin) for calls in counted} - {theirs.get("calls")}
            if wrong:
                yield f"{name}: {wrong.pop()} calls in the histogram, {theirs.get('calls')} in calls"


def _closed_differences(connection: Connection) -> Iterator[str]:
    closed = select(PERIODS.c.start_ns).where(PERIODS.c.length_ns == DAY_NS, PERIODS.c.closed)
    day = (ROLLUPS.c.start_ns - ROLLUPS.c.start_ns % DAY_NS).label("day")
    within = day.in_(closed.scalar_subquery())

    def sums(length_ns: int) -> list[_Sums]:
        kept = select(ROLLUPS.c.grouping, day, *measures_of_rollups()).where(ROLLUPS.c.length_ns == length_ns, within)
        return _by_grouping(connection.execute(kept.group_by(ROLLUPS.c.grouping, day)))

    quarters, hours, days = (sums(length_ns) for length_ns in LENGTHS_NS)
    for begin in sorted({start for length in (quarters, hours, days) for sums in length for start in sums}):
        if len({str(grouping.get(begin)) for length in (quarters, hours, days) for grouping in length}) > 1:
            yield f"day {rfc3339(begin)}: it is not the sum of its quarters, and its calls were removed"


def _sums(rows: Iterable[Sequence[Any]]) -> _Sums:
    return {
        int(start): {name: None if sum_ is None else int(sum_) for name, sum_ in zip(MEASURES, sums, strict=True)}
        for start, *sums in rows
    }


def _by_grouping(rows: Iterable[Sequence[Any]]) -> list[_Sums]:
    """The sums of each grouping: all are of the same calls."""
    found: list[list[Sequence[Any]]] = [[] for _ in GROUPINGS]
    for grouping, *row in rows:
        found[grouping].append(row)
    return [_sums(some) for some in found]


def _histograms(connection: Connection, length_ns: int) -> list[dict[int, int]]:
    calls = (
        select(ROLLUPS.c.grouping, ROLLUPS.c.start_ns, func.sum(BINS.c.calls))
        .join_from(ROLLUPS, BINS, BINS.c.rollup_id == ROLLUPS.c.id)
        .where(ROLLUPS.c.length_ns == length_ns, BINS.c.kind == LATENCY)
        .group_by(ROLLUPS.c.grouping, ROLLUPS.c.start_ns)
    )
    found: list[dict[int, int]] = [{} for _ in GROUPINGS]
    for grouping, start, number in connection.execute(calls):
        found[grouping][start] = int(number)
    return found
