"""The blocks that questions read last, kept in memory for the next: a dashboard asks the same again and again, and of a
month nothing but the end has changed.

What a period is summed up by is written anew only together with its edition (`rollups.PeriodRow`), so what was read of
an edition is what the database would say of it. What has been written anew is forgotten as the eldest is.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, NamedTuple

from outlay_collector.store.grains import Grain

MOST_BYTES: Final = 32 * 1_000_000
_OF_A_BLOCK: Final = 250
"""Bytes that Python takes for each beside its own."""


class Packed(NamedTuple):
    """A section of a block, as `rollups` has it."""

    length_ns: int
    of_ns: int
    start_ns: int
    part: int
    groups: int
    packed: bytes

    @property
    def period(self) -> Period:
        return self[:3]

    @property
    def key(self) -> tuple[int, int, int, int]:
        return self[:4]

    @property
    def grain(self) -> Grain:
        return Grain(self.length_ns, self.of_ns)


Period = tuple[int, int, int]
"""Both lengths of the grain (`rollups.Grain`) and the start."""
Kind = tuple[int, int]
"""Grouping and section."""


@dataclass(slots=True)
class _Entry:
    """What was read of one period. `parts`: which it has, if they are there; None: all there are."""

    edition: int
    parts: set[int] | None = field(default_factory=set)
    blocks: dict[int, Packed] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(len(block.packed) + _OF_A_BLOCK for block in self.blocks.values())

    def has(self, parts: Collection[int] | None) -> bool:
        return self.parts is None or (parts is not None and self.parts.issuperset(parts))

    def of(self, parts: Collection[int] | None) -> Iterable[Packed]:
        if parts is None:
            return self.blocks.values()
        return [self.blocks[part] for part in parts if part in self.blocks]


class Remembered:
    """Of one database; any thread may ask."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._entries: OrderedDict[tuple[Kind, Period], _Entry] = OrderedDict()
        self._lock = Lock()

    def find(
        self, kind: Kind, editions: Iterable[tuple[Period, int]], parts: Collection[int] | None
    ) -> tuple[list[Packed], set[Period]]:
        """What is known of those periods, and the periods that must be read. `parts`: of those; None: of all."""
        found: list[Packed] = []
        missing = set()
        with self._lock:
            for period, edition in editions:
                entry = self._entries.get((kind, period))
                if entry is None or entry.edition != edition or not entry.has(parts):
                    missing.add(period)
                else:
                    found += entry.of(parts)
                    self._entries.move_to_end((kind, period))
        return found, missing

    def keep(
        self,
        kind: Kind,
        editions: Iterable[tuple[Period, int]],
        parts: Collection[int] | None,
        read: Sequence[Packed],
    ) -> None:
        """What was read of those periods, which is all there is of them. Not where it is so much that little else would
        be left."""
        if sum(len(block.packed) for block in read) > self._most_bytes // 2:
            return
        blocks: defaultdict[Period, dict[int, Packed]] = defaultdict(dict)
        for block in read:
            blocks[block.period][block.part] = block
        with self._lock:
            for period, edition in editions:
                self._add((kind, period), edition, parts, blocks[period])
            while self._bytes > self._most_bytes:
                _, entry = self._entries.popitem(last=False)
                self._bytes -= entry.size

    def _add(
        self, key: tuple[Kind, Period], edition: int, parts: Collection[int] | None, blocks: dict[int, Packed]
    ) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size
        if entry is None or entry.edition != edition:
            entry = _Entry(edition)
        entry.blocks |= blocks
        entry.parts = None if parts is None or entry.parts is None else entry.parts.union(parts)
        self._entries[key] = entry
        self._bytes += entry.size
