"""Questions about calls, as SQL over their rollups and their rows.

Sums are grouped in the database. Buckets are given by their edges, which the caller works out in the time zone asked
for: a day that has 23 hours, or a zone half an hour off, is only another number here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Table,
    and_,
    column,
    func,
    literal_column,
    or_,
    select,
    true,
    values,
)

from outlay_collector.store.bins import percentile_ms
from outlay_collector.store.query import (
    TAG,
    CallsQuery,
    Filters,
    Percentiles,
    StoredCall,
    StoredReport,
    UsageQuery,
    UsageRow,
)
from outlay_collector.store.rollups import (
    BINS,
    DAY_NS,
    HOUR_NS,
    LATENCY,
    MEASURES,
    PERIODS,
    QUARTER_NS,
    ROLLUPS,
    TTFT,
    grouping_for,
    measures_of_calls,
    measures_of_rollups,
    plus,
)
from outlay_collector.store.schema import CALLS, REPORTS
from outlay_collector.store.segments import Listed, Segment, needs_parts, of_calls, plan

Key = tuple[Any, ...]
"""The place of the bucket and the values of the dimensions grouped by."""
Histogram = defaultdict[int, int]
_Histogram = tuple[ColumnElement[Any], ColumnElement[int], ColumnElement[int], ColumnElement[bool]]

_NEVER_UNKNOWN: Final = frozenset(
    {"calls", "errors", "auth_failures", "unpriced_calls", "rate_limited", "retries", "avoided_nano_usd"}
)


def read_usage(connection: Connection, query: UsageQuery) -> list[UsageRow]:
    """Rows by bucket, then by group, in rising order; groups without calls have none."""
    segments = _segments(connection, query)
    sources = [
        _Source(query, CALLS, CALLS.c.started_at_ns, [s for s in segments if s.length_ns is None]),
        _Source(query, ROLLUPS, ROLLUPS.c.start_ns, [s for s in segments if s.length_ns is not None]),
    ]
    sums: dict[Key, list[int | None]] = {}
    latency: defaultdict[Key, Histogram] = defaultdict(lambda: defaultdict(int))
    ttft: defaultdict[Key, Histogram] = defaultdict(lambda: defaultdict(int))
    for source in sources:
        for key, figures in source.sums(connection):
            sums[key] = figures if key not in sums else list(map(plus, sums[key], figures))
        for kind, key, bin_, calls in source.bins(connection):
            (latency if kind == LATENCY else ttft)[key][bin_] += calls
    rows = [_row(query, key, figures, latency[key], ttft[key]) for key, figures in sums.items()]
    return sorted(rows, key=lambda row: (row.bucket or 0, [value or "" for value in row.group]))


def read_calls(connection: Connection, query: CallsQuery) -> list[StoredCall]:
    """The latest calls first; calls of one instant, the last to arrive first."""
    statement = select(CALLS).order_by(CALLS.c.started_at_ns.desc(), CALLS.c.id.desc()).limit(query.limit)
    statement = statement.where(_matches(CALLS, query.filters))
    if query.from_ns is not None:
        statement = statement.where(CALLS.c.started_at_ns >= query.from_ns)
    if query.to_ns is not None:
        statement = statement.where(CALLS.c.started_at_ns < query.to_ns)
    if query.before is not None:
        started_at_ns, call_id = query.before
        earlier = and_(CALLS.c.started_at_ns == started_at_ns, CALLS.c.id < call_id)
        statement = statement.where(
            CALLS.c.started_at_ns <= started_at_ns, or_(CALLS.c.started_at_ns < started_at_ns, earlier)
        )
    return [row._asdict() for row in connection.execute(statement)]


def read_call(connection: Connection, call_id: int) -> tuple[StoredCall, list[StoredReport]] | None:
    """One call and its reports, the best source first; None where there is none of that id."""
    row = connection.execute(select(CALLS).where(CALLS.c.id == call_id)).one_or_none()
    if row is None:
        return None
    reports = select(REPORTS).where(REPORTS.c.call_id == call_id).order_by(REPORTS.c.rank, REPORTS.c.span_id)
    return row._asdict(), [report._asdict() for report in connection.execute(reports)]


def read_trace(connection: Connection, trace_id: str) -> list[StoredCall]:
    """The calls any span of the trace reported, in the order they started."""
    reported = select(REPORTS.c.call_id).where(REPORTS.c.trace_id == trace_id)
    statement = select(CALLS).where(CALLS.c.id.in_(reported)).order_by(CALLS.c.started_at_ns, CALLS.c.id)
    return [row._asdict() for row in connection.execute(statement)]


def first_call_at_ns(connection: Connection) -> int | None:
    return connection.execute(select(func.min(CALLS.c.started_at_ns))).scalar()


def dimension(name: str, table: Table = CALLS) -> ColumnElement[str | None]:
    """The column of a dimension."""
    if name.startswith(TAG):
        tag: ColumnElement[str | None] = table.c.tags[name[len(TAG) :]].as_string()
        return tag
    found: ColumnElement[str | None] = table.c[name]
    return found


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
        statement = select(*keys, *measures).select_from(tables).where(_matches(self.table, self.query.filters))
        for row in connection.execute(statement.group_by(*keys)):
            yield tuple(row[: len(keys)]), [None if sum_ is None else int(sum_) for sum_ in row[len(keys) :]]

    def bins(self, connection: Connection) -> Iterator[tuple[int, Key, int, int]]:
        """How many calls of each key fell into each bin, of latency and of time to first token."""
        if not self.segments:
            return
        keys, tables = self._keys()
        for kind, bin_, calls, chosen in self._histograms():
            statement = select(kind, *keys, bin_, calls).where(chosen).where(_matches(self.table, self.query.filters))
            statement = statement.group_by(*keys, bin_)
            if self.table is ROLLUPS:
                tables = tables.join(BINS, BINS.c.rollup_id == ROLLUPS.c.id)
                statement = statement.group_by(kind)
            statement = statement.select_from(tables)
            for found_kind, *key, found, number in connection.execute(statement):
                yield found_kind, tuple(key), found, int(number)

    def _histograms(self) -> list[_Histogram]:
        """Kind, bin and number of calls. Rollups have both kinds in one table, calls in a column each."""
        if self.table is ROLLUPS:
            return [(BINS.c.kind, BINS.c.bin, func.sum(BINS.c.calls), true())]
        return [
            (literal_column(str(kind)), bin_, func.count(), bin_.is_not(None))
            for kind, bin_ in ((LATENCY, CALLS.c.latency_bin), (TTFT, CALLS.c.ttft_bin))
        ]

    def _keys(self) -> tuple[list[ColumnElement[Any]], FromClause]:
        names = ("bucket", "length_ns", "start_ns", "end_ns")
        columns = [column(name, Integer if name == "bucket" else BigInteger) for name in names]
        rows = [(s.bucket, s.length_ns or 0, s.start_ns, s.end_ns) for s in self.segments]
        parts = values(*columns, name="parts", literal_binds=True).data(rows).cte()
        within = and_(self.at >= parts.c.start_ns, self.at < parts.c.end_ns)
        if self.table is ROLLUPS:
            grouping = grouping_for({*self.query.group_by, *self.query.filters})
            within = and_(within, ROLLUPS.c.length_ns == parts.c.length_ns, ROLLUPS.c.grouping == grouping)
        groups = [dimension(name, self.table).label(f"d{n}") for n, name in enumerate(self.query.group_by)]
        return [parts.c.bucket, *groups], parts.join(self.table, within)


def _segments(connection: Connection, query: UsageQuery) -> list[Segment]:
    edges = (query.from_ns, query.to_ns) if query.edges is None else query.edges
    buckets = [
        (n, max(start, query.from_ns), min(end, query.to_ns))
        for n, (start, end) in enumerate(pairwise(edges))
        if start < query.to_ns and end > query.from_ns
    ]
    if grouping_for({*query.group_by, *query.filters}) is None:
        return of_calls(buckets)
    days = _listed(connection, DAY_NS, (query.from_ns - DAY_NS, query.to_ns))
    hours = _listed(connection, HOUR_NS, needs_parts(buckets, DAY_NS, days))
    quarters = _listed(connection, QUARTER_NS, needs_parts(buckets, HOUR_NS, hours) if hours else None)
    return plan(buckets, {DAY_NS: days, HOUR_NS: hours, QUARTER_NS: quarters})


def _listed(connection: Connection, length_ns: int, window: tuple[int, int] | None) -> Listed:
    if window is None:
        return {}
    wanted = select(PERIODS.c.start_ns, PERIODS.c.stale).where(
        PERIODS.c.length_ns == length_ns, PERIODS.c.start_ns >= window[0], PERIODS.c.start_ns < window[1]
    )
    return {row.start_ns: row.stale for row in connection.execute(wanted)}


def _row(query: UsageQuery, key: Key, figures: list[int | None], latency: Histogram, ttft: Histogram) -> UsageRow:
    named = {
        name: figure or 0 if name in _NEVER_UNKNOWN else figure for name, figure in zip(MEASURES, figures, strict=True)
    }
    return UsageRow(
        bucket=None if query.edges is None else key[0],
        group=key[1:],
        latency_ms=_percentiles(latency),
        ttft_ms=_percentiles(ttft),
        **named,  # type: ignore[arg-type]  # those that are never unknown are whole numbers
    )


def _percentiles(histogram: Histogram) -> Percentiles:
    return Percentiles(
        p50=percentile_ms(histogram, 0.50), p95=percentile_ms(histogram, 0.95), p99=percentile_ms(histogram, 0.99)
    )


def _matches(table: Table, filters: Filters) -> ColumnElement[bool]:
    return and_(true(), *(_is_any_of(dimension(name, table), wanted) for name, wanted in filters.items()))


def _is_any_of(found: ColumnElement[str | None], wanted: Sequence[str]) -> ColumnElement[bool]:
    said = found.in_([value for value in wanted if value])
    return said if all(wanted) else or_(said, found.is_(None))
