"""Sums a period up: what makes the rows of `rollups`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, literal, select, update

from outlay_collector.store.ids import take_ids
from outlay_collector.store.rollups import (
    BINS,
    DAY_NS,
    DIMENSIONS,
    GROUPINGS,
    HOUR_NS,
    LATENCY,
    MEASURES,
    PERIODS,
    QUARTER_NS,
    ROLLUPS,
    TTFT,
    hold_periods,
    measures_of_calls,
    measures_of_rollups,
    plus,
)
from outlay_collector.store.schema import CALLS

Group = tuple[Any, ...]

_PART_OF: Final = {HOUR_NS: QUARTER_NS, DAY_NS: HOUR_NS}
_GROUPED: Final = tuple(tuple(name in grouping for name in DIMENSIONS) for grouping in GROUPINGS)
_SETTLED_NS: Final = 60 * 1_000_000_000


def next_stale(connection: Connection, now_ns: int) -> tuple[int, int] | None:
    """The earliest period to sum up, as length and start: quarters first, then hours and days, whose parts all are."""
    over = PERIODS.c.start_ns + PERIODS.c.length_ns < now_ns - _SETTLED_NS
    stale = select(PERIODS.c.length_ns, PERIODS.c.start_ns).where(PERIODS.c.stale, over)
    found = connection.execute(stale.order_by(PERIODS.c.length_ns, PERIODS.c.start_ns).limit(1)).one_or_none()
    return None if found is None else (found.length_ns, found.start_ns)


def sum_up(connection: Connection, length_ns: int, start_ns: int) -> None:
    """Sum one period up and take it off the stale ones. An hour is the sum of its quarters, a day of its hours."""
    hold_periods(connection)
    here = (ROLLUPS.c.length_ns == length_ns) & (ROLLUPS.c.start_ns == start_ns)
    here &= ROLLUPS.c.grouping.in_(range(len(GROUPINGS)))
    connection.execute(delete(BINS).where(BINS.c.rollup_id.in_(select(ROLLUPS.c.id).where(here))))
    connection.execute(delete(ROLLUPS).where(here))
    summed = _of_calls(connection, start_ns) if length_ns == QUARTER_NS else _of_parts(connection, length_ns, start_ns)
    _keep(connection, length_ns, start_ns, summed)
    this = (PERIODS.c.length_ns == length_ns) & (PERIODS.c.start_ns == start_ns)
    connection.execute(update(PERIODS).where(this).values(stale=False))


@dataclass(slots=True)
class _Summed:
    """The groups of one period: each is the place of its grouping, then its dimensions, None where not grouped by."""

    measures: dict[Group, list[int | None]] = field(default_factory=dict)
    bins: defaultdict[tuple[Group, int, int], int] = field(default_factory=lambda: defaultdict(int))

    def add(self, group: Group, measures: Iterable[int | None]) -> None:
        new = [None if sum_ is None else int(sum_) for sum_ in measures]
        known = self.measures.get(group)
        self.measures[group] = new if known is None else list(map(plus, known, new))


def _of_calls(connection: Connection, start_ns: int) -> _Summed:
    """Each call's finest group is counted into every grouping."""
    dimensions = [CALLS.c[name] for name in DIMENSIONS]
    within = (CALLS.c.started_at_ns >= start_ns) & (CALLS.c.started_at_ns < start_ns + QUARTER_NS)
    summed = _Summed()
    for row in connection.execute(select(*dimensions, *measures_of_calls()).where(within).group_by(*dimensions)):
        for group in _groups(row[: len(DIMENSIONS)]):
            summed.add(group, row[len(DIMENSIONS) :])
    for kind, bin_ in ((LATENCY, CALLS.c.latency_bin), (TTFT, CALLS.c.ttft_bin)):
        histogram = select(*dimensions, bin_, func.count()).where(within, bin_.is_not(None))
        for *values, found, calls in connection.execute(histogram.group_by(*dimensions, bin_)):
            for group in _groups(values):
                summed.bins[group, kind, found] += calls
    return summed


def _groups(values: Sequence[str | None]) -> list[Group]:
    """The groups that a call with those dimensions is in, one of each grouping."""
    return [
        (place, *(value if grouped else None for value, grouped in zip(values, mask, strict=True)))
        for place, mask in enumerate(_GROUPED)
    ]


def _of_parts(connection: Connection, length_ns: int, start_ns: int) -> _Summed:
    keys = [ROLLUPS.c.grouping, *(ROLLUPS.c[name] for name in DIMENSIONS)]
    within = (ROLLUPS.c.length_ns == literal(_PART_OF[length_ns])) & ROLLUPS.c.grouping.in_(range(len(GROUPINGS)))
    within &= (ROLLUPS.c.start_ns >= start_ns) & (ROLLUPS.c.start_ns < start_ns + length_ns)
    summed = _Summed()
    for row in connection.execute(select(*keys, *measures_of_rollups()).where(within).group_by(*keys)):
        summed.add(tuple(row[: len(keys)]), row[len(keys) :])
    histogram = select(*keys, BINS.c.kind, BINS.c.bin, func.sum(BINS.c.calls))
    histogram = histogram.join_from(ROLLUPS, BINS, BINS.c.rollup_id == ROLLUPS.c.id).where(within)
    for *group, kind, found, calls in connection.execute(histogram.group_by(*keys, BINS.c.kind, BINS.c.bin)):
        summed.bins[tuple(group), kind, found] = int(calls)
    return summed


def _keep(connection: Connection, length_ns: int, start_ns: int, summed: _Summed) -> None:
    if not summed.measures:
        return
    ids = dict(zip(summed.measures, take_ids(connection, "rollups", len(summed.measures)), strict=True))
    names = ("grouping", *DIMENSIONS, *MEASURES)
    rows = [
        {"id": ids[group], "length_ns": length_ns, "start_ns": start_ns}
        | dict(zip(names, (*group, *measures), strict=True))
        for group, measures in summed.measures.items()
    ]
    connection.execute(insert(ROLLUPS), rows)
    counts = [
        {"rollup_id": ids[group], "kind": kind, "bin": bin_, "calls": calls}
        for (group, kind, bin_), calls in summed.bins.items()
    ]
    connection.execute(insert(BINS), counts)
