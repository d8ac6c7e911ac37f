"""Single calls: the latest, one with its reports, those of a trace."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, func, literal_column, or_, select

from outlay_collector.store.dimensions import Asked, asked_by, matches, values_of
from outlay_collector.store.narrowing import is_of_failed, newest_ranges
from outlay_collector.store.query import CallsQuery, StoredCall, StoredReport
from outlay_collector.store.schema import CALLS, REPORTS
from outlay_collector.store.segments import Range

_SHAPES: Final = 64


def read_calls(connection: Connection, query: CallsQuery) -> list[StoredCall]:
    """The latest calls first; calls of one instant, the last to arrive first."""
    if not query.filters:
        return _listed(connection, query, None, query.limit)
    first = first_call_at_ns(connection)
    last = connection.execute(select(func.max(CALLS.c.started_at_ns))).scalar()  # together, all of the index is read
    if first is None or last is None:
        return []
    from_ns, to_ns = max(first, query.from_ns or 0), min(last, query.to_ns or last, (query.before or (last, 0))[0]) + 1
    found: list[StoredCall] = []
    for ranges in newest_ranges(connection, query, from_ns, to_ns) if from_ns < to_ns else ():
        found += _listed(connection, query, ranges, query.limit - len(found))
        if len(found) == query.limit:
            break
    return found


def _listed(connection: Connection, query: CallsQuery, ranges: Sequence[Range] | None, limit: int) -> list[StoredCall]:
    """Within those ranges, the latest first: one after the other, so that each is left as soon as there are enough."""
    found: list[StoredCall] = []
    asked, wanted, before = asked_by(query.filters), values_of(query.filters), query.before
    some, within = _newest(asked, is_of_failed(query.filters))
    for start, end in [(query.from_ns, query.to_ns)] if ranges is None else ranges:
        values = {**wanted, "most": limit - len(found)}
        if start is None or end is None or (before is not None and before[0] < end):
            rows = connection.execute(some.where(*_within(query, start, end)), values)
        else:
            rows = connection.execute(within, {"start": start, "end": end, **values})
        found += [row._asdict() for row in rows]
        if len(found) == limit:
            break
    return found


@lru_cache(_SHAPES)
def _newest(asked: Asked, failed: bool) -> tuple[Select[Any], Select[Any]]:
    """As one statement for all that ask for the same, which SQLAlchemy takes as long to write down as the database to
    answer; and the same within a range. `failed`: only such calls, in so many words, as their index has it."""
    wanted = select(CALLS).where(matches(CALLS, asked))
    if failed:
        wanted = wanted.where(CALLS.c.status == literal_column("'error'"))
    some = wanted.order_by(CALLS.c.started_at_ns.desc(), CALLS.c.id.desc()).limit(bindparam("most"))
    return some, some.where(CALLS.c.started_at_ns >= bindparam("start"), CALLS.c.started_at_ns < bindparam("end"))


def _within(query: CallsQuery, start: int | None, end: int | None) -> list[ColumnElement[bool]]:
    """One bound on each side: of two on one side SQLite seeks by either, and reads all that is between them."""
    at, before = CALLS.c.started_at_ns, query.before
    conditions = [] if start is None else [at >= start]
    if before is None or (end is not None and end <= before[0]):
        return conditions if end is None else [*conditions, at < end]
    earlier = and_(at == before[0], CALLS.c.id < before[1])
    return [*conditions, at <= before[0], or_(at < before[0], earlier)]


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
