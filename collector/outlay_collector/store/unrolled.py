"""What is not summed up: sums over the rows of `calls`, grouped in the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Label, Select, func

from outlay_collector.store.blocks import Durations, Figures, Numbers
from outlay_collector.store.dimensions import Asked, asked_by, dimension, matches, values_of
from outlay_collector.store.names import NOBODY
from outlay_collector.store.packing import narrowed
from outlay_collector.store.query import PERCENTILES, Filters, UsageQuery
from outlay_collector.store.rollups import ALWAYS_KNOWN, MEASURES, measures_of_calls
from outlay_collector.store.schema import CALLS
from outlay_collector.store.segments import Segment
from outlay_collector.store.within import Shape, places_of, select_within, shape_of

_SHAPES: Final = 128
_FEW: Final = 2_000
_ONLY: Final = "only"
Key = tuple[Any, ...]
"""The place of the bucket and the values of the dimensions grouped by."""


class Unrolled:
    """The groups of those segments, read at once; their histograms when they are asked for. What came since a quarter
    was summed up is few calls: those are read with their bins, so that one group is several rows."""

    def __init__(self, connection: Connection, query: UsageQuery, segments: Sequence[Segment]) -> None:
        self._connection, self._query = connection, query
        self._shape = shape_of(connection, segments)
        self._values = places_of(segments) | values_of(query.filters)
        rows, self._bins = self._read() if segments else ([], None)
        number = 1 + len(query.group_by)
        self._keys: list[Key] = [tuple(row[:number]) for row in rows]
        self._measures = [list(column) for column in zip(*(row[-len(MEASURES) :] for row in rows), strict=True)]

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def buckets(self) -> Numbers:
        return np.array([key[0] for key in self._keys], np.int64)

    def names(self) -> set[str]:
        """Of all dimensions together."""
        return {name for _, *names in self._keys for name in names if name is not None}

    def most(self, place: int) -> int | None:
        """How much of a measure one key has, whatever the bucket, at most; None where any has less than nothing."""
        totals: Counter[tuple[Any, ...]] = Counter()
        for (_, *names), value in zip(self._keys, self._measures[place] if self._keys else (), strict=True):
            if value is not None and value < 0:
                return None
            totals[tuple(names)] += int(value or 0)
        return max(totals.values(), default=0)

    def figures(self, ids: Mapping[str, int]) -> Figures:
        """A row a key, by the ids of all names."""
        columns = self._measures or [[] for _ in MEASURES]
        unsure = columns[ALWAYS_KNOWN:]
        named = [[key[place + 1] for key in self._keys] for place in range(len(self._query.group_by))]
        return Figures(
            [narrowed(np.array([NOBODY if n is None else ids[n] for n in names], np.int64)) for names in named],
            [narrowed(np.array([int(value or 0) for value in column], np.int64)) for column in columns],
            [np.array([value is not None for value in column], np.bool_) for column in unsure],
        )

    def durations(self, groups: Numbers, only: Filters) -> tuple[Durations, Durations]:
        """Latency and time to first token, by the group given for each row; -1: of no interest. `only` may leave out
        calls of no interest."""
        if not (groups >= 0).any():
            return _durations(()), _durations(())
        if self._bins is None:
            group_of = dict(zip(self._keys, groups.tolist(), strict=True))
            found = [(group_of[tuple(key)], latency, ttft, calls) for *key, latency, ttft, calls in self._counts(only)]
        else:
            found = [(group, *bins) for group, bins in zip(groups.tolist(), self._bins, strict=True)]
        shown = [row for row in found if row[0] >= 0]
        return _durations((g, b, n) for g, b, _, n in shown), _durations((g, b, n) for g, _, b, n in shown)

    def _read(self) -> tuple[Sequence[Any], Sequence[Any] | None]:
        """The keys, sums and, if they are as few as they should be, bins and calls of the groups."""
        if self._shape.all_after and self._query.wants(PERCENTILES):
            rows = self._sums(with_bins=True)
            if len(rows) <= _FEW:
                number = 1 + len(self._query.group_by)
                return rows, [(latency, ttft, calls) for latency, ttft, calls, *_ in (row[number:] for row in rows)]
        return self._sums(with_bins=False), None

    def _sums(self, *, with_bins: bool) -> Sequence[Any]:
        sums = _sums_of(self._shape, tuple(self._query.group_by), asked_by(self._query.filters), with_bins)
        return self._connection.execute(sums, self._values).all()

    def _counts(self, only: Filters) -> Sequence[Any]:
        """How many calls of each key fell into which bins."""
        counts = _bins_of(self._shape, tuple(self._query.group_by), asked_by(self._query.filters), asked_by(only))
        return self._connection.execute(counts, self._values | values_of(only, _ONLY)).all()


@lru_cache(_SHAPES)
def _sums_of(shape: Shape, group_by: tuple[str, ...], asked: Asked, with_bins: bool) -> Select[Any]:
    keys = [*_keyed_by(group_by), *(_bins() if with_bins else ())]
    sums = select_within(shape, [*keys, *measures_of_calls()], [matches(CALLS, asked)])
    by_key = sums.group_by("bucket", *(key.name for key in keys))
    return by_key.limit(_FEW + 1) if with_bins else by_key


@lru_cache(_SHAPES)
def _bins_of(shape: Shape, group_by: tuple[str, ...], asked: Asked, only: Asked) -> Select[Any]:
    keys = [*_keyed_by(group_by), *_bins()]
    counts = select_within(shape, [*keys, func.count()], [matches(CALLS, asked), matches(CALLS, only, _ONLY)])
    return counts.group_by("bucket", *(key.name for key in keys))


def _keyed_by(group_by: tuple[str, ...]) -> list[Label[Any]]:
    return [dimension(name).label(f"d{n}") for n, name in enumerate(group_by)]


def _bins() -> list[Label[Any]]:
    return [CALLS.c.latency_bin.label("bin"), CALLS.c.ttft_bin.label("other_bin")]


def _durations(rows: Any) -> Durations:
    known = [row for row in rows if row[1] is not None]
    groups, bins, calls = zip(*known, strict=True) if known else ((), (), ())
    return Durations(np.array(groups, np.int64), np.array(bins, np.uint8), np.array(calls, np.int64))
