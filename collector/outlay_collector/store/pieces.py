"""Sums put together from pieces: those of some thousand calls, or of shorter periods.

Pieces stay packed until they are put together, and users part by part, so that a period of any number of calls takes
no more memory than its sums, as they are kept, and one piece.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import takewhile
from typing import NamedTuple

from outlay_collector.store.blocks import Block, cut, joined, regrouped
from outlay_collector.store.fetching import PackedBlock, unpacked
from outlay_collector.store.grains import Grain
from outlay_collector.store.packing import encode_durations, encode_figures
from outlay_collector.store.rollups import SERIES_PARTS, is_cut, parts_of


class Row(NamedTuple):
    """A block of `rollups`, all its sections."""

    grouping: int
    grain: Grain
    start_ns: int
    part: int
    packed: PackedBlock


class Pieces:
    """Of one grouping and grain; of series that are cut, the first parts."""

    def __init__(self, grouping: int, grain: Grain) -> None:
        self._grouping, self._grain = grouping, grain
        self._packed: defaultdict[int, list[PackedBlock]] = defaultdict(list)

    def add(self, block: Block) -> None:
        for part, some in self._parts_of(block):
            self.add_packed(part, _packed(some))

    def add_packed(self, part: int, packed: PackedBlock) -> None:
        self._packed[part].append(packed)

    def rows(self, start_ns: int) -> Iterator[Row]:
        """Each part is let go once it is put together."""
        for part in sorted(self._packed):
            yield Row(self._grouping, self._grain, start_ns, part, self._together(self._packed.pop(part)))

    def _together(self, pieces: list[PackedBlock]) -> PackedBlock:
        if len(pieces) == 1:
            return pieces[0]
        block = joined([unpacked(self._grouping, self._grain, each) for each in pieces])
        return _packed(regrouped(block, block.figures.ids))

    def _parts_of(self, block: Block) -> Iterator[tuple[int, Block]]:
        if is_cut(self._grouping, self._grain):
            parts = cut(block, parts_of(block.figures.ids[0]))
            yield from parts if not self._grain.is_series else takewhile(lambda each: each[0] < SERIES_PARTS, parts)
        else:
            yield 0, block


def _packed(block: Block) -> PackedBlock:
    return PackedBlock(len(block.figures), *encode_figures(block.figures), encode_durations(block))
