"""A block: the sums of all groups of one period and grouping, as columns.

Held by column a block is a tenth of its rows, and thousands of groups are added up at once. Dimensions are ids (0 for
a call that does not say), measures whole numbers, histograms how many calls fell into which bin (`store.bins`). Pure:
what the ids stand for is `store.names`', how blocks are kept `store.packing`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]
"""Whole numbers of any width."""
Mask = NDArray[np.bool_]

BINS: Final = 256
_EXACT: Final = 2.0**53
"""Below this a float holds every whole number, and sums of them are exact in any order."""
_ROOM: Final = 1 << 17
_FEW: Final = 4_096


@dataclass(slots=True)
class Durations:
    """Histograms, bin by bin: the group, the bin and how many calls fell into it."""

    groups: Numbers
    bins: Numbers
    calls: Numbers


NO_DURATIONS: Final = Durations(np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.int64))


@dataclass(slots=True)
class Figures:
    """A row a group. `known`: of the measures that may be unknown, whether this group's is; a zero stands in for it."""

    ids: list[Numbers]
    measures: list[Numbers]
    known: list[Mask]

    def __len__(self) -> int:
        return len(self.measures[0])

    def only(self, rows: Numbers) -> Figures:
        """Those rows, in that order."""
        return Figures(
            [column[rows] for column in self.ids],
            [column[rows] for column in self.measures],
            [column[rows] for column in self.known],
        )


@dataclass(slots=True)
class Block:
    """The groups of one period, in rising order of their ids."""

    figures: Figures
    latency: Durations
    ttft: Durations


def regrouped(block: Block, ids: Sequence[Numbers]) -> Block:
    """The same calls by other ids: one array a dimension, a value for each row of the block."""
    groups, values = grouped(ids, len(block.figures))
    number = len(values[0]) if values else min(1, len(block.figures))
    return Block(
        added_up(block.figures, groups, values, number),
        _together(block.latency, groups),
        _together(block.ttft, groups),
    )


def joined(blocks: Sequence[Block]) -> Block:
    """All rows of the blocks, one after the other. There must be one at least."""
    starts = np.cumsum([0, *(len(block.figures) for block in blocks)])
    return Block(
        joined_figures([block.figures for block in blocks]),
        _joined_durations([block.latency for block in blocks], starts),
        _joined_durations([block.ttft for block in blocks], starts),
    )


def cut(block: Block, numbers: Numbers) -> Iterator[tuple[int, Block]]:
    """The block in parts, each with its number; `numbers` are those of its groups, rising."""
    edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    for start, end in pairwise(edges if len(numbers) else ()):
        figures = block.figures.only(np.arange(start, end))
        latency, ttft = (_between(each, start, end) for each in (block.latency, block.ttft))
        yield int(numbers[start]), Block(figures, latency, ttft)


def _between(durations: Durations, start: int, end: int) -> Durations:
    """Of those groups, numbered anew."""
    here = slice(*np.searchsorted(durations.groups, (start, end)))
    return Durations(durations.groups[here] - start, durations.bins[here], durations.calls[here])


def joined_figures(parts: Sequence[Figures]) -> Figures:
    """All rows, one after the other. There must be one part at least."""
    if len(parts) == 1:
        return parts[0]
    return Figures(
        [np.concatenate(columns) for columns in zip(*(part.ids for part in parts), strict=True)],
        [np.concatenate(columns) for columns in zip(*(part.measures for part in parts), strict=True)],
        [np.concatenate(columns) for columns in zip(*(part.known for part in parts), strict=True)],
    )


def added_up(figures: Figures, groups: Numbers, ids: list[Numbers], number: int) -> Figures:
    """The rows by their group, 0 to `number`; `ids` are those of each group."""
    at_once = _added_up_at_once(figures, groups, number) if 0 < len(groups) <= _FEW else None
    if at_once is not None:
        measures = len(figures.measures)
        return Figures(ids, list(at_once[:measures]), list(at_once[measures:] > 0))
    return Figures(
        ids,
        [summed(groups, column, number) for column in figures.measures],
        [_any_of(groups, column, number) for column in figures.known],
    )


def _added_up_at_once(figures: Figures, groups: Numbers, number: int) -> Numbers | None:
    """The sums of all columns, and of how many rows each that may be unknown is known; None where floats may not hold
    them. Of few rows, numpy takes longer to begin with each column than to add it up."""
    columns = [*figures.measures, *figures.known]
    values = np.concatenate(columns, dtype=np.float64)
    if not _is_exact(values, len(groups)):
        return None
    cells = np.arange(0, len(columns) * number, number)[:, np.newaxis] + groups
    return np.bincount(cells.ravel(), values).astype(np.int64).reshape(len(columns), number)


def grouped(columns: Sequence[Numbers], rows: int) -> tuple[Numbers, list[Numbers]]:
    """For each row the number of its group, and for each column the values of the groups; groups stand in the order of
    the first column, then the second, and so on."""
    if not columns:
        return np.zeros(rows, np.int64), []
    ranks, values = zip(*map(_ranked, columns), strict=True)
    several = [place for place, each in enumerate(values) if len(each) > 1]
    if len(several) <= 1:
        return _grouped_by_one(ranks, values, several[0] if several else 0)
    mixed, sizes = ranks[0], [max(1, len(each)) for each in values]
    for place in range(1, len(ranks)):
        if np.prod([float(size) for size in sizes[: place + 1]]) >= 2.0**62:
            return _grouped_by_sorting(ranks, values)
        mixed = mixed * sizes[place] + ranks[place]
    groups, keys = _ranked(mixed)
    found: list[Numbers] = []
    for place in range(len(ranks) - 1, -1, -1):
        keys, rank = np.divmod(keys, sizes[place])
        found.append(values[place][rank])
    return groups, found[::-1]


def _grouped_by_one(ranks: Sequence[Numbers], values: Sequence[Numbers], only: int) -> tuple[Numbers, list[Numbers]]:
    """Where all other columns are the same in every row."""
    number = len(values[only])
    return ranks[only], [each if place == only else each.repeat(number) for place, each in enumerate(values)]


def summed(groups: Numbers, values: Numbers, number: int) -> Numbers:
    """The sums of the values by group, exactly."""
    if not len(values) or not values.any():
        return np.zeros(number, np.int64)
    if _is_exact(values, len(values)):
        return np.bincount(groups, values, number).astype(np.int64)
    total = np.zeros(number, np.int64)
    np.add.at(total, groups, values.astype(np.int64))
    return total


def _is_exact(values: Numbers, most: int) -> bool:
    """Whether a float holds the sum of any of the values, so many at most."""
    return max(abs(float(values.max())), abs(float(values.min()))) * most < _EXACT


def _any_of(groups: Numbers, known: Mask, number: int) -> Mask:
    if known.all():
        return np.ones(number, np.bool_)
    found = np.zeros(number, np.bool_)
    found[groups[known]] = True
    return found


def _ranked(column: Numbers) -> tuple[Numbers, Numbers]:
    """The place of each value among the values there are, and these, rising."""
    least, most = (int(column.min()), int(column.max())) if len(column) else (0, 0)
    if len(column) and least == most:
        return np.zeros(len(column), np.int64), np.array([most], np.int64)
    if len(column) and least >= 0 and most < 8 * len(column) + _ROOM:
        seen = np.zeros(most + 1, np.bool_)
        seen[column] = True
        values = np.flatnonzero(seen)
        ranks = np.empty(most + 1, np.int64)
        ranks[values] = np.arange(len(values))
        return ranks[column], values
    values, ranks = np.unique(column.astype(np.int64), return_inverse=True)
    return ranks, values


def _grouped_by_sorting(ranks: Sequence[Numbers], values: Sequence[Numbers]) -> tuple[Numbers, list[Numbers]]:
    """Where there are too many combinations for one number."""
    rows, groups = np.unique(np.stack(ranks, axis=1), axis=0, return_inverse=True)
    return groups.reshape(-1), [each[rows[:, place]] for place, each in enumerate(values)]


def _together(durations: Durations, groups: Numbers) -> Durations:
    """By groups of the groups they were by."""
    cells = groups[durations.groups].astype(np.int64) * BINS + durations.bins
    places, found = _ranked(cells)
    by_group, bins = np.divmod(found, BINS)
    return Durations(by_group, bins, summed(places, durations.calls, len(found)))


def _joined_durations(parts: Sequence[Durations], starts: Numbers) -> Durations:
    groups = [part.groups + start for part, start in zip(parts, starts, strict=False)]
    return Durations(
        np.concatenate(groups),
        np.concatenate([part.bins for part in parts]),
        np.concatenate([part.calls for part in parts]),
    )
