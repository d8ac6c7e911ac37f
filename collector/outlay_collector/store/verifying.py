"""Proves that rollups equal calls: every period that has calls is listed, and every sum that is kept is theirs.

Where calls may have been removed the sums are all there is: what is left to prove is that they agree with each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, and_, select

from outlay_collector.periods import rfc3339
from outlay_collector.store.bins import total, unpack
from outlay_collector.store.engine import reading
from outlay_collector.store.rollups import (
    DAY_NS,
    GROUPINGS,
    HOUR_NS,
    LENGTHS_NS,
    MEASURES,
    MINUTE_NS,
    PERIODS,
    QUARTER_NS,
    ROLLUPS,
    SIX_HOURS_NS,
    WEEK_NS,
    kind_of,
    measures_of_calls,
    measures_of_rollups,
    minutes_of,
)
from outlay_collector.store.schema import CALLS

_Sums = Mapping[str, int | None]
_NAMES: Final = {
    MINUTE_NS: "minute", QUARTER_NS: "quarter", HOUR_NS: "hour", SIX_HOURS_NS: "six hours", DAY_NS: "day",
    WEEK_NS: "week",
}  # fmt: skip
_NOTHING: Final[_Sums] = dict.fromkeys(MEASURES)
_CLOSABLE_NS: Final = tuple(length for length in LENGTHS_NS if length <= DAY_NS)


def verify(engine: Engine) -> list[str]:
    """What is wrong, a line each, by length and time; empty where all is right."""
    with reading(engine) as connection:
        closed = _closed_days(connection)
        found = [line for length_ns in LENGTHS_NS for line in _differences(connection, length_ns, closed)]
        return [*found, *_closed_differences(connection, closed)]


def _differences(connection: Connection, length_ns: int, closed: set[int]) -> Iterator[str]:
    """Of the periods whose calls are all there."""
    start = CALLS.c.started_at_ns - CALLS.c.started_at_ns % length_ns
    truth = _truth(connection, length_ns, None)
    wanted = select(PERIODS.c.start_ns, PERIODS.c.stale, PERIODS.c.closed, PERIODS.c.kept)
    listed = {row.start_ns: row for row in connection.execute(wanted.where(PERIODS.c.length_ns == length_ns))}
    for begin in sorted(truth.keys() - listed.keys()):
        yield f"{_NAMES[length_ns]} {rfc3339(begin)}: it has calls but is not listed"
    fresh = {begin: row.kept for begin, row in listed.items() if not (row.stale or _is_closed(row, length_ns, closed))}
    for place in range(len(GROUPINGS)):
        theirs = _rollups(connection, length_ns, place)
        for begin in sorted(begin for begin, kept in fresh.items() if kept & kind_of(place)):
            yield from _wrong(length_ns, begin, truth.get(begin, _NOTHING), theirs.get(begin))
    if length_ns == QUARTER_NS:
        yield from _wrong_minutes(connection, {begin: kept for begin, kept in fresh.items() if kept}, start)


def _wrong_minutes(connection: Connection, fresh: Mapping[int, int], start: ColumnElement[int]) -> Iterator[str]:
    """Of the quarters that have minutes."""
    for place in range(len(GROUPINGS)):
        kind = minutes_of(place)
        quarters = {begin for begin, kept in fresh.items() if kind is not None and kept & kind}
        if not quarters:
            continue
        theirs = _rollups(connection, MINUTE_NS, place)
        truth = _truth(connection, MINUTE_NS, start.between(min(quarters), max(quarters)))
        for begin in sorted(truth.keys() | theirs.keys()):
            if begin - begin % QUARTER_NS in quarters:
                yield from _wrong(MINUTE_NS, begin, truth.get(begin, _NOTHING), theirs.get(begin))


def _wrong(length_ns: int, begin: int, calls: _Sums, rollup: _Sums | None) -> Iterator[str]:
    name = f"{_NAMES[length_ns]} {rfc3339(begin)}"
    theirs = _NOTHING if rollup is None else rollup
    for measure in MEASURES:
        if calls[measure] != theirs[measure]:
            yield f"{name}: {measure} is {theirs[measure]} in the rollup and {calls[measure]} in calls"
    if (counted := theirs.get("counted", 0)) != (calls["calls"] or 0):
        yield f"{name}: {counted} calls in the histogram, {calls['calls']} in calls"


def _truth(connection: Connection, length_ns: int, where: ColumnElement[bool] | None) -> dict[int, _Sums]:
    start = (CALLS.c.started_at_ns - CALLS.c.started_at_ns % length_ns).label("start")
    sums = select(start, *measures_of_calls()).group_by(start)
    return {begin: _named(row) for begin, *row in connection.execute(sums if where is None else sums.where(where))}


def _rollups(connection: Connection, length_ns: int, place: int) -> dict[int, _Sums]:
    """What one grouping comes to, by period; `counted` is the calls of its histograms."""
    here = and_(ROLLUPS.c.grouping == place, ROLLUPS.c.length_ns == length_ns)
    sums = select(ROLLUPS.c.start_ns, *measures_of_rollups()).where(here).group_by(ROLLUPS.c.start_ns)
    histograms: defaultdict[int, int] = defaultdict(int)
    for begin, latency in connection.execute(select(ROLLUPS.c.start_ns, ROLLUPS.c.latency).where(here)):
        histograms[begin] += unpack(latency)
    return {begin: {**_named(row), "counted": total(histograms[begin])} for begin, *row in connection.execute(sums)}


def _named(sums: Sequence[Any]) -> dict[str, int | None]:
    return {name: None if sum_ is None else int(sum_) for name, sum_ in zip(MEASURES, sums, strict=True)}


def _is_closed(period: Any, length_ns: int, closed: set[int]) -> bool:
    """Whether any of its calls may be gone."""
    if length_ns == WEEK_NS:
        return any(period.start_ns + n * DAY_NS in closed for n in range(7))
    return bool(period.closed)


def _closed_days(connection: Connection) -> set[int]:
    closed = select(PERIODS.c.start_ns).where(PERIODS.c.length_ns == DAY_NS, PERIODS.c.closed)
    return set(connection.execute(closed).scalars())


def _closed_differences(connection: Connection, closed: set[int]) -> Iterator[str]:
    """Of days whose calls may be gone: every length and grouping must tell the same."""
    if not closed:
        return
    day = (ROLLUPS.c.start_ns - ROLLUPS.c.start_ns % DAY_NS).label("day")
    kept = select(ROLLUPS.c.length_ns, ROLLUPS.c.grouping, day, *measures_of_rollups())
    kept = kept.where(ROLLUPS.c.length_ns.in_(_CLOSABLE_NS), day.between(min(closed), max(closed)))
    told: defaultdict[int, set[tuple[int | None, ...]]] = defaultdict(set)
    seen: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
    for length_ns, place, begin, *sums in connection.execute(kept.group_by("length_ns", "grouping", "day")):
        told[begin].add(tuple(_named(sums).values()))
        seen[begin].add((length_ns, kind_of(place)))
    whole = {(length, kind_of(place)) for length in _CLOSABLE_NS for place in range(len(GROUPINGS) - 1)}
    for begin in sorted(closed):
        if len(told[begin]) > 1 or not whole <= seen[begin]:
            yield f"day {rfc3339(begin)}: it is not the sum of its quarters, and its calls were removed"
