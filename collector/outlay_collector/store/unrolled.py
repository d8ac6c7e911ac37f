"""What is not summed up: sums over the rows of `calls`, grouped in the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Executable, Label, func

from outlay_collector.store.arrays import in_arrays, maybe_known, numbers, values
from outlay_collector.store.blocks import NO_DURATIONS, Durations, Figures, Numbers
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
Column = str | None
"""As `arrays` has it."""


class Unrolled:
    """The groups of those segments, read at once; their histograms when they are asked for. What came since a quarter
    was summed up is few calls: those are read with their bins, so that one group is several rows."""

    def __init__(self, connection: Connection, query: UsageQuery, segments: Sequence[Segment]) -> None:
        self._connection, self._query = connection, query
        self._shape = shape_of(connection, segments)
        self._values = places_of(segments) | values_of(query.filters)
        dimensions = len(query.group_by)
        nothing = (None,) * (1 + dimensions + len(MEASURES))
        (buckets, *columns), self._bins = self._read() if segments else (nothing, None)
        self.buckets = numbers(buckets)
        self._named: list[list[str | None]] = list(map(values, columns[:dimensions]))
        measures = [maybe_known(column) for column in columns[dimensions:]]
        self._measures = [measure for measure, _ in measures]
        self._known = [known for _, known in measures[ALWAYS_KNOWN:]]

    def __len__(self) -> int:
        return len(self.buckets)

    def names(self) -> set[str]:
        """Of all dimensions together."""
        return {name for names in self._named for name in names if name is not None}

    def most(self, place: int) -> int | None:
        """How much of a measure one key has, whatever the bucket, at most; None where any has less than nothing."""
        measure = self._measures[place].tolist()
        if min(measure, default=0) < 0:
            return None
        totals: Counter[tuple[str | None, ...]] = Counter()
        for *names, value in zip(*self._named, measure, strict=True):
            totals[tuple(names)] += value
        return max(totals.values(), default=0)

    def figures(self, ids: Mapping[str, int]) -> Figures:
        """A row a key, by the ids of all names."""
        named = [np.array([NOBODY if n is None else ids[n] for n in names], np.int64) for names in self._named]
        return Figures(list(map(narrowed, named)), list(map(narrowed, self._measures)), self._known)

    def durations(self, groups: Numbers, only: Filters) -> Sequence[Durations]:
        """Latency and time to first token, by the group given for each row; -1: of no interest. `only` may leave out
        calls of no interest."""
        if not (groups >= 0).any():
            return NO_DURATIONS, NO_DURATIONS
        if self._bins is not None:
            return _durations(groups, *self._bins)
        *keys, latency, ttft, calls = self._counts(only)
        group_of = dict(zip(zip(self.buckets.tolist(), *self._named, strict=True), groups.tolist(), strict=True))
        found = [group_of[key] for key in zip(*map(values, keys), strict=True)]
        return _durations(np.array(found, np.int64), latency, ttft, calls)

    def _read(self) -> tuple[Sequence[Column], tuple[Column, Column, Column] | None]:
        """The keys and sums of the groups and, if they are as few as they should be, bins and calls."""
        if self._shape.all_after and self._query.wants(PERCENTILES):
            columns = self._sums(with_bins=True)
            if len(values(columns[0])) <= _FEW:
                keys = 1 + len(self._query.group_by)
                latency, ttft, calls = columns[keys : keys + 3]
                return [*columns[:keys], *columns[keys + 2 :]], (latency, ttft, calls)
        return self._sums(with_bins=False), None

    def _sums(self, *, with_bins: bool) -> Sequence[Column]:
        sums = _sums_of(self._shape, tuple(self._query.group_by), asked_by(self._query.filters), with_bins)
        return self._connection.execute(sums, self._values).one()

    def _counts(self, only: Filters) -> Sequence[Column]:
        """How many calls of each key fell into which bins."""
        counts = _bins_of(self._shape, tuple(self._query.group_by), asked_by(self._query.filters), asked_by(only))
        return self._connection.execute(counts, self._values | values_of(only, _ONLY)).one()


@lru_cache(_SHAPES)
def _sums_of(shape: Shape, group_by: tuple[str, ...], asked: Asked, with_bins: bool) -> Executable:
    keys = [*_keyed_by(group_by), *(_bins() if with_bins else ())]
    sums = select_within(shape, [*keys, *measures_of_calls()], [matches(CALLS, asked)])
    by_key = sums.group_by("bucket", *(key.name for key in keys))
    return in_arrays(by_key.limit(_FEW + 1) if with_bins else by_key, is_postgres=shape.is_postgres)


@lru_cache(_SHAPES)
def _bins_of(shape: Shape, group_by: tuple[str, ...], asked: Asked, only: Asked) -> Executable:
    keys = [*_keyed_by(group_by), *_bins()]
    calls = func.count().label("calls")
    counts = select_within(shape, [*keys, calls], [matches(CALLS, asked), matches(CALLS, only, _ONLY)])
    return in_arrays(counts.group_by("bucket", *(key.name for key in keys)), is_postgres=shape.is_postgres)


def _keyed_by(group_by: tuple[str, ...]) -> list[Label[Any]]:
    return [dimension(name).label(f"d{n}") for n, name in enumerate(group_by)]


def _bins() -> list[Label[Any]]:
    return [CALLS.c.latency_bin.label("bin"), CALLS.c.ttft_bin.label("other_bin")]


def _durations(groups: Numbers, latency: Column, ttft: Column, calls: Column) -> Sequence[Durations]:
    """By the group of each row, and what the columns say of it."""
    number, found = numbers(calls), []
    for bins, known in map(maybe_known, (latency, ttft)):
        shown = np.flatnonzero(known & (groups >= 0))
        found.append(Durations(groups[shown], bins[shown].astype(np.uint8), number[shown]))
    return found
