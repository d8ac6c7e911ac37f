"""Proves that rollups equal calls: every period that has calls is listed, and every sum that is kept is theirs.

Where calls may have been removed the sums are all there is: what is left to prove is that they agree with each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Final

import numpy as np
from sqlalchemy import ColumnElement, Connection, Engine, func, select

from outlay_collector.periods import rfc3339
from outlay_collector.store.blocks import Figures, regrouped
from outlay_collector.store.engine import reading
from outlay_collector.store.fetching import ALL_PARTS, read_blocks
from outlay_collector.store.foremost import wrong_most
from outlay_collector.store.grains import (
    DAY_NS,
    GRAINS,
    HOUR_NS,
    LENGTHS_NS,
    MINUTE_NS,
    MINUTES,
    QUARTER_NS,
    SIX_HOURS_NS,
    WEEK_NS,
    Grain,
    whole,
)
from outlay_collector.store.rollups import (
    ALWAYS_KNOWN,
    GROUPINGS,
    MEASURES,
    PERIODS,
    SERIES_PARTS,
    Kept,
    groupings_in,
    is_cut,
    is_of_many,
    kind_of,
    measures_of_calls,
)
from outlay_collector.store.schema import CALLS

_Sums = Mapping[str, int | None]
_NAMES: Final = {
    MINUTE_NS: "minute", QUARTER_NS: "quarter", HOUR_NS: "hour", SIX_HOURS_NS: "six hours", DAY_NS: "day",
    WEEK_NS: "week",
}  # fmt: skip
_NOTHING: Final[_Sums] = dict.fromkeys(MEASURES)
_EVER: Final = (0, 2**63 - 1)
_CLOSABLE_NS: Final = tuple(length for length in LENGTHS_NS if length <= DAY_NS)


def verify(engine: Engine) -> list[str]:
    """What is wrong, a line each, by length and time; empty where all is right."""
    with reading(engine) as connection:
        closed, quarters = _closed_days(connection), _quarters(connection)
        found = [line for length_ns in LENGTHS_NS for line in _differences(connection, length_ns, quarters, closed)]
        return [*found, *_held_differences(connection), *_closed_differences(connection)]


def _differences(
    connection: Connection, length_ns: int, quarters: Mapping[int, _Sums], closed: set[int]
) -> Iterator[str]:
    """Of the periods whose calls are all there; `quarters` is what these come to."""
    truth = _by_period(quarters, length_ns)
    wanted = select(PERIODS.c.start_ns, PERIODS.c.stale, PERIODS.c.closed, PERIODS.c.kept)
    listed = {row.start_ns: row for row in connection.execute(wanted.where(PERIODS.c.length_ns == length_ns))}
    for begin in sorted(truth.keys() - listed.keys()):
        yield f"{_NAMES[length_ns]} {rfc3339(begin)}: it has calls but is not listed"
    fresh = {begin: row.kept for begin, row in listed.items() if not (row.stale or _is_closed(row, length_ns, closed))}
    for place in range(len(GROUPINGS)):
        theirs = _rollups(connection, whole(length_ns), place)
        for begin in sorted(begin for begin, kept in fresh.items() if kept & kind_of(place)):
            yield from _wrong(length_ns, begin, truth.get(begin, _NOTHING), theirs.get(begin))
        if is_of_many(place):
            for begin in wrong_most(connection, place, whole(length_ns)):
                (name,) = GROUPINGS[place]
                yield f"{_NAMES[length_ns]} {rfc3339(begin)}: what one {name} has at most is kept wrongly"
    for grain, place in product(GRAINS, range(len(GROUPINGS))):
        if grain.is_series and grain.of_ns == length_ns:
            periods = {begin for begin, kept in fresh.items() if place in groupings_in(grain, Kept(kept))}
            yield from _wrong_series(connection, grain, place, periods, quarters)


def _held_differences(connection: Connection) -> Iterator[str]:
    """Of the quarters that are stale and hold some of their calls."""
    wanted = select(PERIODS.c.start_ns, PERIODS.c.kept, PERIODS.c.held_id).where(
        PERIODS.c.length_ns == QUARTER_NS, PERIODS.c.stale, PERIODS.c.held_id > 0
    )
    for begin, kept, held_id in connection.execute(wanted).all():
        within = begin, begin + QUARTER_NS
        truth = _truth(connection, QUARTER_NS, *within, held_id).get(begin, _NOTHING)
        for place in range(len(GROUPINGS)):
            if kept & kind_of(place):
                theirs = _rollups(connection, whole(QUARTER_NS), place, within).get(begin)
                yield from _wrong(QUARTER_NS, begin, truth, theirs)


def _wrong_series(
    connection: Connection, grain: Grain, place: int, periods: set[int], quarters: Mapping[int, _Sums]
) -> Iterator[str]:
    """Of the periods that have that series. One that is cut has not all calls, but all that the same parts of the rows
    have that it was made of."""
    if not periods:
        return
    within = min(periods), max(periods) + grain.of_ns
    theirs = _rollups(connection, grain, place)
    truth = _by_period(quarters, grain.length_ns)
    if is_cut(place, grain):
        truth = _rollups(connection, whole(grain.length_ns), place, within, SERIES_PARTS)
        theirs = {begin: sums for begin, sums in theirs.items() if begin in truth}
    elif grain == MINUTES:
        truth = _truth(connection, MINUTE_NS, *within)
    for begin in sorted(truth.keys() | theirs.keys()):
        if begin - begin % grain.of_ns in periods:
            yield from _wrong(grain.length_ns, begin, truth.get(begin, _NOTHING), theirs.get(begin))


def _wrong(length_ns: int, begin: int, calls: _Sums, rollup: _Sums | None) -> Iterator[str]:
    name = f"{_NAMES[length_ns]} {rfc3339(begin)}"
    theirs = _NOTHING if rollup is None else rollup
    for measure in MEASURES:
        if calls[measure] != theirs[measure]:
            yield f"{name}: {measure} is {theirs[measure]} in the rollup and {calls[measure]} in calls"
    if (counted := theirs.get("counted", 0)) != (calls["calls"] or 0):
        yield f"{name}: {counted} calls in the histogram, {calls['calls']} in calls"


def _quarters(connection: Connection) -> dict[int, _Sums]:
    """What the calls of each quarter of an hour come to: read day by day, as a database would hold all of them to sort
    them."""
    at = CALLS.c.started_at_ns
    found: dict[int, _Sums] = {}
    begin = connection.scalar(select(func.min(at)))
    while begin is not None:
        end = begin - begin % DAY_NS + DAY_NS
        found |= _truth(connection, QUARTER_NS, begin, end)
        begin = connection.scalar(select(func.min(at)).where(at >= end))
    return found


def _truth(
    connection: Connection, length_ns: int, from_ns: int, to_ns: int, until_id: int | None = None
) -> dict[int, _Sums]:
    at = CALLS.c.started_at_ns
    start = (at - at % length_ns).label("start")
    sums = select(start, *measures_of_calls()).where(at >= from_ns, at < to_ns).group_by(start)
    if until_id is not None:
        sums = sums.where(CALLS.c.id <= until_id)
    return {begin: _named(row) for begin, *row in connection.execute(sums)}


def _by_period(quarters: Mapping[int, _Sums], length_ns: int) -> Mapping[int, _Sums]:
    """The quarters added up to longer periods."""
    if length_ns == QUARTER_NS:
        return quarters
    found: dict[int, _Sums] = {}
    for start_ns, sums in quarters.items():
        so_far = found.get(begin := start_ns - start_ns % length_ns, _NOTHING)
        found[begin] = {name: _plus(so_far[name], sums[name]) for name in MEASURES}
    return found


def _rollups(
    connection: Connection, grain: Grain, place: int, within: tuple[int, int] = _EVER, parts: int = ALL_PARTS
) -> dict[int, _Sums]:
    """What one grouping comes to, by period; `counted` is the calls of its histograms."""
    found: dict[int, _Sums] = {}
    for start_ns, block in read_blocks(connection, place, grain, *within, parts):
        sums = regrouped(block, block.figures.ids[-1:] if grain.is_series else [])
        counted = np.bincount(sums.latency.groups, sums.latency.calls, len(sums.figures))
        for row in range(len(sums.figures)):
            begin = start_ns + sum(int(column[row]) for column in sums.figures.ids) * grain.length_ns
            found[begin] = {**_sums_of(sums.figures, row), "counted": int(counted[row])}
    return found


def _added_up(periods: Mapping[int, _Sums]) -> dict[int, tuple[int | None, ...]]:
    """The measures of each day."""
    days: dict[int, tuple[int | None, ...]] = {}
    for start_ns, sums in periods.items():
        day, measures = start_ns - start_ns % DAY_NS, tuple(sums[name] for name in MEASURES)
        days[day] = tuple(map(_plus, days[day], measures)) if day in days else measures
    return days


def _plus(one: int | None, other: int | None) -> int | None:
    """The sum of what is known."""
    if one is None or other is None:
        return one if other is None else other
    return one + other


def _sums_of(figures: Figures, row: int) -> dict[str, int | None]:
    known = [True] * ALWAYS_KNOWN + [bool(column[row]) for column in figures.known]
    return {
        name: int(column[row]) if is_known else None
        for name, column, is_known in zip(MEASURES, figures.measures, known, strict=True)
    }


def _named(sums: Sequence[Any]) -> dict[str, int | None]:
    return {name: None if sum_ is None else int(sum_) for name, sum_ in zip(MEASURES, sums, strict=True)}


def _is_closed(period: Any, length_ns: int, closed: set[int]) -> bool:
    """Whether any of its calls may be gone."""
    if length_ns == WEEK_NS:
        return any(period.start_ns + n * DAY_NS in closed for n in range(7))
    return bool(period.closed)


def _closed_days(connection: Connection, *conditions: ColumnElement[bool]) -> set[int]:
    closed = select(PERIODS.c.start_ns).where(PERIODS.c.length_ns == DAY_NS, PERIODS.c.closed, *conditions)
    return set(connection.execute(closed).scalars())


def _closed_differences(connection: Connection) -> Iterator[str]:
    """Of days whose calls may be gone, unless their sums are too: every length and grouping must tell the same."""
    closed = _closed_days(connection, PERIODS.c.kept != 0)
    if not closed:
        return
    told: defaultdict[int, set[tuple[int | None, ...]]] = defaultdict(set)
    seen: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
    for length_ns, place in product(_CLOSABLE_NS, range(len(GROUPINGS))):
        within = min(closed), max(closed) + DAY_NS
        days = _added_up(_rollups(connection, whole(length_ns), place, within))
        for begin, sums in days.items():
            told[begin].add(sums)
            seen[begin].add((length_ns, place))
    everything = set(product(_CLOSABLE_NS, range(len(GROUPINGS))))
    for begin in sorted(closed):
        if len(told[begin]) > 1 or not everything <= seen[begin]:
            yield f"day {rfc3339(begin)}: it is not the sum of its quarters, and its calls were removed"
