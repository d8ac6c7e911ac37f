"""Reads blocks: which groups of which buckets they hold, as rows that can be added up.

Their sections are read one after the other, because a question that shows a few groups of many needs what all are
ranked by, and the other measures and histograms of those few.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from sqlalchemy import Connection

from outlay_collector.store.blocks import NO_DURATIONS, Durations, Figures, Mask, Numbers, joined_figures
from outlay_collector.store.fetching import Blocks, by_grain
from outlay_collector.store.gathering import Gathered, Rows, gathered_durations
from outlay_collector.store.grains import Grain
from outlay_collector.store.packing import decode_durations, decode_ranked, decode_rest
from outlay_collector.store.remembered import Packed
from outlay_collector.store.rollups import ALWAYS_KNOWN, GROUPINGS, MEASURES, RANKED, Section, parts_with
from outlay_collector.store.segments import Segment

_Key = tuple[int, int, int, int]
"""Of a block: both lengths of its grain, start and part."""
Wanted = Mapping[str, Sequence[int]]
"""Dimension to the ids it may have, any of them."""


_SEVERAL: Final = 8
_SMALL: Final = 128
_NOT_LARGE: Final = 1_024
_FEW: Final = 32


@dataclass(frozen=True, slots=True)
class Rolled:
    """The rows of some blocks. `rows`: for each block its key, how many groups it has and, where not all are wanted,
    which; `parts`: the ids and first measures of those that are."""

    grouping: int
    blocks: Blocks
    rows: Sequence[tuple[_Key, int, Numbers | None]]
    buckets: Numbers
    parts: Sequence[Figures]

    def measure(self, place: int) -> Numbers:
        """One of the first."""
        return np.concatenate([part.measures[place] for part in self.parts])

    def known(self, place: int) -> Mask:
        """Of a measure that may be unknown: which rows' is not."""
        return np.concatenate([part.known[place - ALWAYS_KNOWN] for part in self.parts])

    def ids(self, place: int) -> Numbers:
        return np.concatenate([part.ids[place] for part in self.parts])

    def shown(self, groups: Numbers) -> Shown:
        """The rows to whom a group is given that is not below zero."""
        at, found = 0, {}
        for key, rows, chosen in self.rows:
            number = rows if chosen is None else len(chosen)
            mine, at = groups[at : at + number], at + number
            if len(some := np.flatnonzero(mine >= 0)):
                only = some if chosen is None else chosen[some]
                found[key] = _Shown(mine[some], rows, only if len(only) < rows else None)
        return found


class _Shown(NamedTuple):
    """Of a block: the group of each row that is shown, how many rows there are, and which are shown; None: all."""

    groups: Numbers
    rows: int
    only: Numbers | None


Shown = Mapping[_Key, _Shown]
"""By its key, of each block that has any."""


def read_ranked(
    connection: Connection,
    grouping: int,
    segments: Sequence[Segment],
    wanted: Wanted,
    parts: Collection[int] | None = None,
) -> Rolled | None:
    """All rows of those segments, which must be of rollups, that have the wanted ids; `parts`: of those parts alone.
    None where there are none."""
    blocks = Blocks(connection, grouping, segments)
    reading, later = _Reading(grouping, segments, wanted), list[Packed]()
    for block in blocks.fetch(Section.RANKED, parts_with(grouping, wanted) if parts is None else parts):
        if _is_read_at_once(block, grouping, wanted):
            later.append(block)
        else:
            reading.add(block)
    reading.add_all(later)
    return reading.rolled(blocks)


class _Reading:
    """What of the blocks is wanted, put together."""

    def __init__(self, grouping: int, segments: Sequence[Segment], wanted: Wanted) -> None:
        self._grouping, self._wanted = grouping, wanted
        self._filters = [_Filter(GROUPINGS[grouping].index(name), ids) for name, ids in wanted.items()]
        self._places = {grain: _Places(grain, some) for grain, some in by_grain(segments)}
        self._rows: list[tuple[_Key, int, Numbers | None]] = []
        self._parts: list[Figures] = []
        self._buckets: list[Numbers] = []

    def add(self, block: Packed) -> None:
        dimensions = len(GROUPINGS[self._grouping]) + block.grain.is_series
        figures = decode_ranked(block.packed, dimensions, block.groups)
        within = figures.ids.pop() if block.grain.is_series else None
        bucket, mask = self._places[block.grain].of(block.start_ns, within)
        chosen = _chosen(figures, mask, self._filters)
        self._rows.append((block.key, block.groups, chosen))
        self._parts.append(figures if chosen is None else figures.only(chosen))
        self._buckets.append(_each(bucket, block.groups) if chosen is None else _each(bucket, block.groups)[chosen])

    def add_all(self, blocks: Sequence[Packed]) -> None:
        """Those that are `_is_read_at_once`."""
        if len(blocks) < _SEVERAL:
            for block in blocks:
                self.add(block)
            return
        said, groups = [block.packed for block in blocks], [block.groups for block in blocks]
        gathered = Gathered(said, len(GROUPINGS[self._grouping]), range(RANKED), groups)
        chosen = gathered.rows_with(*self._wanted.values()) if self._wanted else gathered.all_rows()
        buckets = np.array([self._places[block.grain].of(block.start_ns, None)[0] for block in blocks])
        for block, mine in zip(blocks, chosen.of_each(len(blocks)), strict=True):
            self._rows.append((block.key, block.groups, mine))
        self._parts.append(gathered.figures(chosen))
        self._buckets.append(buckets[chosen.blocks])

    def rolled(self, blocks: Blocks) -> Rolled | None:
        if not any(map(len, self._parts)):
            return None
        return Rolled(self._grouping, blocks, self._rows, np.concatenate(self._buckets), self._parts)


def _is_read_at_once(block: Packed, grouping: int, wanted: Wanted) -> bool:
    """With others like it, without a step of Python for each: of a few rows that are wanted, by the first column, or
    all of few."""
    if block.grain.is_series or len(wanted) > 1 or (wanted and len(GROUPINGS[grouping]) > 1):
        return False
    return bool(wanted) or block.groups <= _SMALL


class _Filter:
    """Which rows have one of those ids in that column."""

    def __init__(self, place: int, ids: Sequence[int]) -> None:
        self.place = place
        self._ids = np.array(sorted(ids), np.int64)
        self._among = np.zeros(int(self._ids[-1]) + 2, np.bool_)  # the last stands for all above
        self._among[self._ids] = True

    def mask(self, column: Numbers) -> Mask:
        return self._among.take(column, mode="clip")

    def rows(self, rising: Numbers) -> Numbers:
        """Of a column in rising order; looked up in its own type, as another would be a copy of it."""
        ids = self._ids[self._ids <= np.iinfo(rising.dtype).max].astype(rising.dtype)
        firsts, ends = np.searchsorted(rising, ids, "left"), np.searchsorted(rising, ids, "right")
        return np.concatenate([np.arange(*each) for each in zip(firsts, ends, strict=True)] or [firsts])


def _chosen(figures: Figures, mask: Mask | None, filters: Sequence[_Filter]) -> Numbers | None:
    """The rows that are wanted, rising; None: all. They stand by their first column."""
    if mask is None and [each.place for each in filters] == [0]:
        rows = filters[0].rows(figures.ids[0])
        return None if len(rows) == len(figures) else rows
    for each in filters:
        mask = _and(mask, each.mask(figures.ids[each.place]))
    return None if mask is None or mask.all() else np.flatnonzero(mask)


def read_rest(rolled: Rolled, shown: Shown) -> Figures:
    """The measures from `RANKED` on of those rows, in their order. There must be one."""
    blocks = _shown_of(rolled, shown, Section.REST)
    if _are_few(shown):
        said = dict(blocks)
        rows = list(shown.values())
        places = range(RANKED, len(MEASURES))
        return Gathered([said[key] for key in shown], 0, places, [each.rows for each in rows]).figures(_rows_of(rows))
    found = {key: _rest_of(said, shown[key]) for key, said in blocks}
    return joined_figures([found[key] for key in shown])


def _rest_of(said: bytes, shown: _Shown) -> Figures:
    rest = decode_rest(said, shown.rows)
    return rest if shown.only is None else rest.only(shown.only)


def read_durations(rolled: Rolled, shown: Shown) -> tuple[Durations, Durations]:
    """Latency and time to first token of those rows, by the groups given for each of them."""
    blocks = _shown_of(rolled, shown, Section.DURATIONS)
    if _are_few(shown):
        return _durations_at_once([(said, shown[key]) for key, said in blocks])
    found: tuple[list[Durations], list[Durations]] = ([], [])
    for key, said in blocks:
        mine, rows, only = shown[key]
        for into, part in zip(found, decode_durations(said, rows, only), strict=True):
            into.append(Durations(mine[part.groups], part.bins, part.calls))
    return _joined(found[0]), _joined(found[1])


def _shown_of(rolled: Rolled, shown: Shown, section: Section) -> Iterator[tuple[_Key, bytes]]:
    """That section of each block that has rows to show, in any order."""
    parts = {part for *_, part in shown}
    return ((block.key, block.packed) for block in rolled.blocks.fetch(section, parts) if block.key in shown)


def _are_few(shown: Shown) -> bool:
    """So few rows of so many small blocks that reading all at once saves more than it takes."""
    number = len(shown)
    rows, groups = sum(its.rows for its in shown.values()), sum(len(its.groups) for its in shown.values())
    return number >= _SEVERAL and rows <= _NOT_LARGE * number and groups <= _FEW * number


def _rows_of(shown: Sequence[_Shown]) -> Rows:
    places = [np.arange(each.rows) if each.only is None else each.only for each in shown]
    return Rows(np.repeat(np.arange(len(places)), [len(some) for some in places]), np.concatenate(places))


def _durations_at_once(blocks: Sequence[tuple[bytes, _Shown]]) -> tuple[Durations, Durations]:
    said, shown = zip(*blocks, strict=True)
    group = np.concatenate([each.groups for each in shown])
    latency, ttft = gathered_durations(said, [each.rows for each in shown], _rows_of(shown))
    return (
        Durations(group[latency.groups], latency.bins, latency.calls),
        Durations(group[ttft.groups], ttft.bins, ttft.calls),
    )


def _joined(parts: Sequence[Durations]) -> Durations:
    if not parts:
        return NO_DURATIONS
    columns = [np.concatenate(each) for each in zip(*((p.groups, p.bins, p.calls) for p in parts), strict=True)]
    return Durations(*columns)


class _Places:
    """Which bucket a period is in; all of one grain."""

    def __init__(self, grain: Grain, segments: Sequence[Segment]) -> None:
        self._grain, self._segments = grain, segments
        self._starts = [segment.start_ns for segment in segments]
        self._at, self._ends, self._buckets = (
            np.array(each, np.int64) for each in zip(*((s.start_ns, s.end_ns, s.bucket) for s in segments), strict=True)
        )

    def of(self, start_ns: int, within: Numbers | None) -> tuple[int | Numbers, Mask | None]:
        """The bucket of a block or, by their places in the series, of its rows, and which of these are in one."""
        if within is None:
            return self._segments[bisect_right(self._starts, start_ns) - 1].bucket, None
        times = start_ns + within.astype(np.int64) * self._grain.length_ns
        places = np.searchsorted(self._at, times, "right") - 1
        is_in_one = (places >= 0) & (times < self._ends[places])
        return self._buckets[places], None if is_in_one.all() else is_in_one


def _each(bucket: int | Numbers, rows: int) -> Numbers:
    return np.full(rows, bucket) if isinstance(bucket, int) else bucket


def _and(one: Mask | None, other: Mask) -> Mask:
    return other if one is None else one & other
