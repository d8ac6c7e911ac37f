"""Questions about calls, as SQL over their rows.

Sums are grouped in the database. Buckets are given by their edges, which the caller works out in the time zone asked
for: a day that has 23 hours, or a zone half an hour off, is only another number here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
    and_,
    case,
    column,
    func,
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
from outlay_collector.store.schema import CALLS, REPORTS

Key = tuple[Any, ...]

_SUMS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_nano_usd",
)
_AUTH_FAILURES: Final = (401, 403)


def read_usage(connection: Connection, query: UsageQuery) -> list[UsageRow]:
    """Rows by bucket, then by group, in rising order; groups without calls have none."""
    keys, tables, where = _keys(query)
    measures = (
        func.count().label("calls"),
        _count(CALLS.c.status == "error").label("errors"),
        _count(CALLS.c.http_status.in_(_AUTH_FAILURES)).label("auth_failures"),
        func.sum(CALLS.c.rate_limited).label("rate_limited"),
        func.sum(CALLS.c.retries).label("retries"),
        *(func.sum(CALLS.c[name]).label(name) for name in _SUMS),
        func.coalesce(func.sum(CALLS.c.avoided_nano_usd), 0).label("avoided_nano_usd"),
        _count(CALLS.c.cost_nano_usd.is_(None)).label("unpriced_calls"),
    )
    statement = select(*keys, *measures).select_from(tables).where(where)
    width = len(keys)
    found = [(tuple(row[:width]), row[width:]) for row in connection.execute(_grouped(statement, keys))]
    latency = _percentiles(connection, query, CALLS.c.latency_bin)
    ttft = _percentiles(connection, query, CALLS.c.ttft_bin)
    names = [measure.name for measure in measures]
    rows = []
    for key, figures in found:
        if not figures[0]:
            continue
        sums = {name: None if figure is None else int(figure) for name, figure in zip(names, figures, strict=True)}
        bucket, group = (key[0], key[1:]) if query.edges is not None else (None, key)
        rows.append(
            UsageRow(
                bucket=bucket,
                group=group,
                latency_ms=latency.get(key, Percentiles()),
                ttft_ms=ttft.get(key, Percentiles()),
                **sums,  # type: ignore[arg-type]  # counts are never NULL, the rest may be
            )
        )
    return sorted(rows, key=lambda row: (row.bucket or 0, [value or "" for value in row.group]))


def read_calls(connection: Connection, query: CallsQuery) -> list[StoredCall]:
    """The latest calls first; calls of one instant, the last to arrive first."""
    statement = select(CALLS).order_by(CALLS.c.started_at_ns.desc(), CALLS.c.id.desc()).limit(query.limit)
    statement = statement.where(_matches(query.filters))
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


def dimension(name: str) -> ColumnElement[str | None]:
    """The column of a dimension."""
    if name.startswith(TAG):
        tag: ColumnElement[str | None] = CALLS.c.tags[name[len(TAG) :]].as_string()
        return tag
    found: ColumnElement[str | None] = CALLS.c[name]
    return found


def _keys(query: UsageQuery) -> tuple[list[ColumnElement[Any]], FromClause, ColumnElement[bool]]:
    """What rows are told apart by, where they come from, and which of them count."""
    keys: list[ColumnElement[Any]] = [dimension(name).label(f"d{n}") for n, name in enumerate(query.group_by)]
    tables: FromClause = CALLS
    if query.edges is not None:
        buckets = _buckets(query.edges)
        tables = buckets.join(
            CALLS, and_(CALLS.c.started_at_ns >= buckets.c.start, CALLS.c.started_at_ns < buckets.c.end)
        )
        keys.insert(0, buckets.c.bucket)
    window = and_(CALLS.c.started_at_ns >= query.from_ns, CALLS.c.started_at_ns < query.to_ns)
    return keys, tables, and_(window, _matches(query.filters))


def _buckets(edges: Sequence[int]) -> FromClause:
    columns = column("bucket", Integer), column("start", BigInteger), column("end", BigInteger)
    rows = [(n, start, end) for n, (start, end) in enumerate(pairwise(edges))]
    return values(*columns, name="buckets", literal_binds=True).data(rows).cte()


def _matches(filters: Filters) -> ColumnElement[bool]:
    return and_(true(), *(_is_any_of(dimension(name), wanted) for name, wanted in filters.items()))


def _is_any_of(found: ColumnElement[str | None], wanted: Sequence[str]) -> ColumnElement[bool]:
    said = found.in_([value for value in wanted if value])
    return said if all(wanted) else or_(said, found.is_(None))


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _grouped(statement: Select[Any], keys: Sequence[ColumnElement[Any]]) -> Select[Any]:
    return statement.group_by(*keys) if keys else statement


def _percentiles(connection: Connection, query: UsageQuery, bin_: ColumnElement[int]) -> dict[Key, Percentiles]:
    keys, tables, where = _keys(query)
    statement = select(*keys, bin_, func.count()).select_from(tables).where(where, bin_.is_not(None))
    counts: defaultdict[Key, dict[int, int]] = defaultdict(dict)
    for *key, bin_value, calls in connection.execute(statement.group_by(*keys, bin_)):
        counts[tuple(key)][bin_value] = calls
    return {
        key: Percentiles(
            p50=percentile_ms(histogram, 0.50),
            p95=percentile_ms(histogram, 0.95),
            p99=percentile_ms(histogram, 0.99),
        )
        for key, histogram in counts.items()
    }
