"""Sums over calls, as SQL over their rollups and their rows.

Sums are grouped in the database, histograms put together here. Buckets are given by their edges, which the caller works
out in the time zone asked for: a day that has 23 hours, or a zone half an hour off, is only another number here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Table,
    and_,
    func,
    or_,
    select,
    text,
    true,
)

from outlay_collector.store.bins import counted, percentiles_ms, unpack
from outlay_collector.store.dimensions import dimension, is_any_of, matches
from outlay_collector.store.query import Percentiles, UsageQuery, UsageRow
from outlay_collector.store.rollups import (
    MEASURES,
    PERIODS,
    ROLLUPS,
    grouping_for,
    kind_of,
    measures_of_calls,
    measures_of_rollups,
    minutes_of,
)
from outlay_collector.store.schema import CALLS
from outlay_collector.store.segments import Listing, Range, Segment, of_calls, plan

Key = tuple[Any, ...]
"""The place of the bucket and the values of the dimensions grouped by."""
Histograms = defaultdict[Key, list[int]]
"""Of latency and of time to first token, as `store.bins` holds them."""

_NEVER_UNKNOWN: Final = frozenset(
    {"calls", "errors", "auth_failures", "unpriced_calls", "rate_limited", "retries", "avoided_nano_usd"}
)
_MOST_NAMED: Final = 500


def read_usage(connection: Connection, query: UsageQuery) -> list[UsageRow]:
    """Rows by bucket, then by group, in rising order; groups without calls have none.

    Where the query has a limit, only its first groups: the greatest by the sum over all buckets.
    """
    segments = _segments(connection, query)
    _seek_by_key(connection)
    sources = [
        _Source(query, CALLS, CALLS.c.started_at_ns, [s for s in segments if s.length_ns is None]),
        _Source(query, ROLLUPS, ROLLUPS.c.start_ns, [s for s in segments if s.length_ns is not None]),
    ]
    sums: dict[Key, list[int | None]] = {}
    for source in sources:
        for key, figures in source.sums(connection):
            sums[key] = figures if key not in sums else list(map(_plus, sums[key], figures))
    shown = _first_groups(sums, query)
    histograms: Histograms = defaultdict(lambda: [0, 0])
    for source in sources:
        source.add_histograms(connection, histograms, shown)
    rows = [_row(query, key, figures, histograms[key]) for key, figures in sums.items() if key[1:] in shown]
    if query.order is not None:
        return sorted(rows, key=lambda row: (row.bucket or 0, shown[tuple(row.group)]))
    return sorted(rows, key=lambda row: (row.bucket or 0, [value or "" for value in row.group]))


def listing_of(connection: Connection) -> Listing:
    """Which periods there are, and what of them may be read."""

    def listing(length_ns: int, ranges: Sequence[Range]) -> Mapping[int, int]:
        if not ranges:
            return {}
        starts = or_(*(PERIODS.c.start_ns.between(start - length_ns + 1, end - 1) for start, end in ranges))
        wanted = select(PERIODS.c.start_ns, PERIODS.c.kept, PERIODS.c.stale)
        found = connection.execute(wanted.where(PERIODS.c.length_ns == length_ns, starts))
        return {start: 0 if stale else kept for start, kept, stale in found}

    return listing


@dataclass(frozen=True, slots=True)
class _Source:
    """Calls or rollups, and the segments that are read from them."""

    query: UsageQuery
    table: Table
    at: ColumnElement[int]
    segments: Sequence[Segment]

    def sums(self, connection: Connection) -> Iterator[tuple[Key, list[int | None]]]:
        """The measures of each key, in the order of `MEASURES`."""
        if not self.segments:
            return
        keys, tables = self._keys()
        measures = measures_of_calls() if self.table is CALLS else measures_of_rollups()
        statement = select(*keys, *measures).select_from(tables).where(matches(self.table, self.query.filters))
        for row in connection.execute(statement.group_by(*keys)):
            yield tuple(row[: len(keys)]), [None if sum_ is None else int(sum_) for sum_ in row[len(keys) :]]

    def add_histograms(self, connection: Connection, found: Histograms, shown: Collection[Key]) -> None:
        """Add how many calls of each key fell into each bin, of latency and of time to first token."""
        if not self.segments:
            return
        keys, tables = self._keys()
        chosen = and_(matches(self.table, self.query.filters), self._are_shown(shown))
        if self.table is ROLLUPS:
            packed = select(*keys, ROLLUPS.c.latency, ROLLUPS.c.ttft).select_from(tables).where(chosen)
            for *key, latency, ttft in connection.execute(packed):
                histograms = found[tuple(key)]
                histograms[0] += unpack(latency)
                if ttft:
                    histograms[1] += unpack(ttft)
            return
        for place, bin_ in enumerate((CALLS.c.latency_bin, CALLS.c.ttft_bin)):
            each = select(*keys, bin_, func.count()).select_from(tables).where(chosen, bin_.is_not(None))
            for *key, fell, calls in connection.execute(each.group_by(*keys, bin_)):
                found[tuple(key)][place] += counted(fell, calls)

    def _are_shown(self, shown: Collection[Key]) -> ColumnElement[bool]:
        """Spares the database what is not shown, where one dimension tells."""
        if self.query.limit is None or len(self.query.group_by) != 1 or len(shown) > _MOST_NAMED:
            return true()
        return is_any_of(dimension(self.query.group_by[0], self.table), [value or "" for (value,) in shown])

    def _keys(self) -> tuple[list[ColumnElement[Any]], FromClause]:
        parts = _parts(self.segments)
        within = and_(self.at >= parts.c.start_ns, self.at < parts.c.end_ns)
        if self.table is ROLLUPS:
            grouping = grouping_for({*self.query.group_by, *self.query.filters})
            within = and_(within, ROLLUPS.c.length_ns == parts.c.length_ns, ROLLUPS.c.grouping == grouping)
        groups = [dimension(name, self.table).label(f"d{n}") for n, name in enumerate(self.query.group_by)]
        return [parts.c.bucket, *groups], parts.join(self.table, within)


def _seek_by_key(connection: Connection) -> None:
    """For the rest of this transaction. Postgres cannot know how little of a table some ranges of time are: it takes a
    ninth of it for each, and reads it all."""
    if connection.dialect.name == "postgresql":
        for way in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"):
            connection.exec_driver_sql(f"SET LOCAL {way} = off")


def _parts(segments: Sequence[Segment]) -> CTE:
    """The segments as a table. As text: a thousand minutes bound one by one take longer than their sums."""
    rows = ", ".join(f"({s.bucket}, {s.length_ns or 0}, {s.start_ns}, {s.end_ns})" for s in segments)
    names = "column1 AS bucket, column2 AS length_ns, column3 AS start_ns, column4 AS end_ns"
    table = text(f"SELECT {names} FROM (VALUES {rows}) AS segments")
    return table.columns(bucket=Integer, length_ns=BigInteger, start_ns=BigInteger, end_ns=BigInteger).cte("parts")


def _segments(connection: Connection, query: UsageQuery) -> list[Segment]:
    edges = (query.from_ns, query.to_ns) if query.edges is None else query.edges
    buckets = [
        (n, max(start, query.from_ns), min(end, query.to_ns))
        for n, (start, end) in enumerate(pairwise(edges))
        if start < query.to_ns and end > query.from_ns
    ]
    grouping = grouping_for({*query.group_by, *query.filters})
    if grouping is None:
        return of_calls(buckets)
    return plan(buckets, kind_of(grouping), minutes_of(grouping), listing_of(connection))


def _first_groups(sums: Mapping[Key, Sequence[int | None]], query: UsageQuery) -> dict[Key, int]:
    """The groups to show, and their rank: the greatest first, those without the figure last, equal ones by name."""
    if query.order is None:
        return dict.fromkeys((key[1:] for key in sums), 0)
    place = MEASURES.index(query.order)
    totals: dict[Key, int | None] = {}
    for key, figures in sums.items():
        totals[key[1:]] = _plus(totals.get(key[1:]), figures[place])
    ranked = sorted(totals, key=lambda group: (-(totals[group] or 0), [value or "" for value in group]))
    return {group: rank for rank, group in enumerate(ranked[: query.limit])}


def _plus(one: int | None, other: int | None) -> int | None:
    """The sum of what is known."""
    if one is None or other is None:
        return one if other is None else other
    return one + other


def _row(query: UsageQuery, key: Key, figures: list[int | None], histograms: Sequence[int]) -> UsageRow:
    named = {
        name: figure or 0 if name in _NEVER_UNKNOWN else figure for name, figure in zip(MEASURES, figures, strict=True)
    }
    return UsageRow(
        bucket=None if query.edges is None else key[0],
        group=key[1:],
        latency_ms=_percentiles(histograms[0]),
        ttft_ms=_percentiles(histograms[1]),
        **named,  # type: ignore[arg-type]  # those that are never unknown are whole numbers
    )


def _percentiles(histogram: int) -> Percentiles:
    p50, p95, p99 = percentiles_ms(histogram, 0.50, 0.95, 0.99)
    return Percentiles(p50=p50, p95=p95, p99=p99)
