"""Reads a few rows of many blocks at once: of `packing`'s bytes, without a step of Python for each block.

A question about a few users by hour of a week reads thousands of blocks, and of each a row or none. What is the same in
all blocks is worked out for all together: where each column begins, the rows with the ids that are wanted, by halves,
and what these say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, repeat

import numpy as np

from outlay_collector.store.blocks import Durations, Figures, Mask, Numbers
from outlay_collector.store.packing import PARTLY_KNOWN, UNKNOWN
from outlay_collector.store.rollups import ALWAYS_KNOWN


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of some blocks: the place of each one's block, rising, and its place there, rising too."""

    blocks: Numbers
    places: Numbers

    def __len__(self) -> int:
        return len(self.blocks)

    def of_each(self, number: int) -> list[Numbers]:
        """The places, block by block."""
        return np.split(self.places, np.searchsorted(self.blocks, np.arange(1, number)))


@dataclass(frozen=True, slots=True)
class _Column:
    """Of each block: where the values begin, how wide they are and, where they may be unknown, what says which are."""

    at: Numbers
    width: Numbers
    kind: Numbers | None
    mask_at: Numbers


class Gathered:
    """Those measures of blocks, by their place, after so many dimensions; of so many groups each."""

    def __init__(self, said: Sequence[bytes], dimensions: int, measures: range, groups: Sequence[int]) -> None:
        self._said, at = _end_to_end(said)
        self._groups = np.array(groups, np.int64)
        self._dimensions = dimensions
        self._columns: list[_Column] = []
        for place in chain(repeat(0, dimensions), measures):
            kind, mask_at = None, at
            if place >= ALWAYS_KNOWN:
                kind, mask_at = self._said[at], at + 1
                at = mask_at + np.where(kind == PARTLY_KNOWN, -(-self._groups // 8), 0)
            width = self._said[at].astype(np.int64)
            self._columns.append(_Column(at + 1, width, kind, mask_at))
            at = at + 1 + width * self._groups

    def all_rows(self) -> Rows:
        return _all_rows(self._groups)

    def rows_with(self, ids: Sequence[int]) -> Rows:
        """Those that have one of the ids, which must rise, in the first column, in which no id may stand twice."""
        first, number = self._columns[0], len(self._groups)
        wanted = np.tile(np.array(ids, np.int64), number)
        at, width, end = (np.repeat(each, len(ids)) for each in (first.at, first.width, self._groups))
        low, high = np.zeros(len(wanted), np.int64), end.copy()
        for _ in range(int(self._groups.max(initial=0)).bit_length()):
            middle = (low + high) // 2
            less = (low < high) & (_values(self._said, at + np.minimum(middle, end - 1) * width, width) < wanted)
            low, high = np.where(less, middle + 1, low), np.where(less, high, middle)
        last = np.minimum(low, end - 1)
        found = np.flatnonzero((low < end) & (_values(self._said, at + last * width, width) == wanted))
        return Rows(found // len(ids), low[found])

    def figures(self, rows: Rows) -> Figures:
        columns, known = [], []
        for column in self._columns:
            width = column.width[rows.blocks]
            columns.append(_values(self._said, column.at[rows.blocks] + rows.places * width, width))
            if column.kind is not None:
                known.append(self._known(column.kind[rows.blocks], column.mask_at[rows.blocks], rows.places))
        return Figures(columns[: self._dimensions], columns[self._dimensions :], known)

    def _known(self, kind: Numbers, at: Numbers, places: Numbers) -> Mask:
        known: Mask = kind != UNKNOWN
        if len(partly := np.flatnonzero(kind == PARTLY_KNOWN)):
            place = places[partly]
            known[partly] = (self._said[at[partly] + place // 8] >> (7 - place % 8)) & 1
        return known


def gathered_durations(said: Sequence[bytes], groups: Sequence[int], rows: Rows) -> tuple[Durations, Durations]:
    """Latency and time to first token of those rows, which are numbered from 0."""
    packed, at = _end_to_end(said)
    number = np.array(groups, np.int64)
    everything = _all_rows(number)
    latency, at = _durations(packed, at, number, everything, rows)
    ttft, _ = _durations(packed, at, number, everything, rows)
    return latency, ttft


def _durations(said: Numbers, at: Numbers, groups: Numbers, everything: Rows, rows: Rows) -> tuple[Durations, Numbers]:
    """And where the next ones begin. `everything`: all rows of the blocks."""
    width = said[at].astype(np.int64)
    wide = np.repeat(width, groups)
    each = _values(said, np.repeat(at + 1, groups) + everything.places * wide, wide)
    before = np.concatenate((np.zeros(1, np.int64), np.cumsum(each)))
    first = np.concatenate((np.zeros(1, np.int64), np.cumsum(groups)))
    entries = before[first[1:]] - before[first[:-1]]
    bins_at = at + 1 + width * groups
    calls_at, calls_width = bins_at + entries + 1, said[bins_at + entries].astype(np.int64)
    row = first[rows.blocks] + rows.places
    number = each[row]
    entry = np.repeat(before[row] - before[first[rows.blocks]] - np.cumsum(number) + number, number)
    entry += np.arange(len(entry))
    block = np.repeat(rows.blocks, number)
    wide = calls_width[block]
    calls = _values(said, calls_at[block] + entry * wide, wide)
    found = Durations(np.repeat(np.arange(len(rows)), number), said[bins_at[block] + entry], calls)
    return found, calls_at + calls_width * entries


def _end_to_end(said: Sequence[bytes]) -> tuple[Numbers, Numbers]:
    """All bytes, and where each begins."""
    starts = [0, *accumulate(map(len, said))][:-1]
    return np.frombuffer(b"".join((*said, bytes(1))), np.uint8), np.array(starts, np.int64)


def _all_rows(groups: Numbers) -> Rows:
    blocks = np.repeat(np.arange(len(groups)), groups)
    return Rows(blocks, np.arange(len(blocks)) - np.repeat(np.cumsum(groups) - groups, groups))


def _values(said: Numbers, at: Numbers, width: Numbers) -> Numbers:
    """The whole numbers that begin there, each as wide as that: 0 where it is no wide at all."""
    found = np.zeros(len(at), np.int64)
    lowest, highest = (int(width.min()), int(width.max())) if len(width) else (0, 0)
    for place in range(highest):
        here = slice(None) if place < lowest else np.flatnonzero(width > place)
        found[here] |= said[at[here] + place].astype(np.int64) << (8 * place)
    return found
