"""What is not summed up: sums over the rows of `calls`, grouped in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    Label,
    Select,
    and_,
    func,
    literal_column,
    select,
    text,
    true,
)
from sqlalchemy.sql.util import ClauseAdapter
from sqlalchemy.sql.visitors import iterate

from outlay_collector.store.blocks import Durations, Figures, Numbers
from outlay_collector.store.dimensions import dimension, matches
from outlay_collector.store.names import NOBODY
from outlay_collector.store.packing import narrowed
from outlay_collector.store.query import Filters, UsageQuery
from outlay_collector.store.rollups import ALWAYS_KNOWN, MEASURES, measures_of_calls
from outlay_collector.store.schema import CALLS
from outlay_collector.store.segments import Segment

Key = tuple[Any, ...]
"""The place of the bucket and the values of the dimensions grouped by."""


class Unrolled:
    """The groups of those segments, read at once; their histograms when they are asked for."""

    def __init__(self, connection: Connection, query: UsageQuery, segments: Sequence[Segment]) -> None:
        self._connection, self._query, self._segments = connection, query, segments
        rows = self._sums() if segments else []
        number = 1 + len(query.group_by)
        self._keys: list[Key] = [tuple(row[:number]) for row in rows]
        self._measures = [list(column) for column in zip(*(row[number:] for row in rows), strict=True)]

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def buckets(self) -> Numbers:
        return np.array([key[0] for key in self._keys], np.int64)

    def names(self) -> set[str]:
        """Of all dimensions together."""
        return {name for _, *names in self._keys for name in names if name is not None}

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
        rows = self._bins(only) if (groups >= 0).any() else []
        group_of = dict(zip(self._keys, groups.tolist(), strict=True))
        found = [(group_of[tuple(key)], latency, ttft, calls) for *key, latency, ttft, calls in rows]
        shown = [row for row in found if row[0] >= 0]
        return _durations((g, b, n) for g, b, _, n in shown), _durations((g, b, n) for g, _, b, n in shown)

    def _sums(self) -> Sequence[Any]:
        keys = self._keyed_by()
        chosen = matches(CALLS, self._query.filters)
        sums = select_within(self._connection, self._segments, [*keys, *measures_of_calls()], [chosen])
        return self._connection.execute(sums.group_by("bucket", *(key.name for key in keys))).all()

    def _bins(self, only: Filters) -> Sequence[Any]:
        """How many calls of each key fell into which bins."""
        both = [*self._keyed_by(), CALLS.c.latency_bin.label("bin"), CALLS.c.ttft_bin.label("other_bin")]
        chosen = [matches(CALLS, self._query.filters), matches(CALLS, only)]
        counts = select_within(self._connection, self._segments, [*both, func.count()], chosen)
        return self._connection.execute(counts.group_by("bucket", *(key.name for key in both))).all()

    def _keyed_by(self) -> list[Label[Any]]:
        return [dimension(name).label(f"d{n}") for n, name in enumerate(self._query.group_by)]


def select_within(
    connection: Connection,
    segments: Sequence[Segment],
    columns: Sequence[ColumnElement[Any]],
    conditions: Sequence[ColumnElement[bool]],
) -> Select[Any]:
    """Those columns of the calls in the segments that meet the conditions, after the segment's `bucket`."""
    parts, at = _parts(segments), CALLS.c.started_at_ns
    within = and_(at >= parts.c.start_ns, at < parts.c.end_ns, *conditions)
    if any(segment.after_id for segment in segments):
        within = and_(within, CALLS.c.id + 0 > parts.c.after_id)  # a sum, so that no database looks for it by id
    if connection.dialect.name != "postgresql":
        return select(parts.c.bucket, *columns).select_from(parts.join(CALLS, within))
    if least := min((segment.after_id for segment in segments), default=0):
        within = and_(within, CALLS.c.id > literal_column(str(least)))  # it knows how few these are
    # Segment by segment: it would rather look through the index of all calls for those that meet the conditions
    calls = select(*_used_in(columns)).where(within).offset(0).lateral()
    seen = ClauseAdapter(calls)
    return select(parts.c.bucket, *map(seen.traverse, columns)).select_from(parts.join(calls, true()))


def _used_in(columns: Sequence[ColumnElement[Any]]) -> list[Column[Any]]:
    """The columns of a call that those are made of, and its id: of all fifty, SQLAlchemy makes copies that take longer
    than the question, and that only the garbage collector removes."""
    found = (each for column in columns for each in iterate(column) if isinstance(each, Column))
    return [CALLS.c.id, *dict.fromkeys(each for each in found if each is not CALLS.c.id)]


def _parts(segments: Sequence[Segment]) -> CTE:
    """The segments as a table. As text: a thousand minutes bound one by one take longer than their sums."""
    rows = ", ".join(f"({s.bucket}, {s.start_ns}, {s.end_ns}, {s.after_id})" for s in segments)
    names = "column1 AS bucket, column2 AS start_ns, column3 AS end_ns, column4 AS after_id"
    table = text(f"SELECT {names} FROM (VALUES {rows}) AS segments")
    return table.columns(bucket=Integer, start_ns=BigInteger, end_ns=BigInteger, after_id=BigInteger).cte("parts")


def _durations(rows: Any) -> Durations:
    known = [row for row in rows if row[1] is not None]
    groups, bins, calls = zip(*known, strict=True) if known else ((), (), ())
    return Durations(np.array(groups, np.int64), np.array(bins, np.uint8), np.array(calls, np.int64))
