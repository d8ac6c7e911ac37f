"""Single calls: the latest, one with its reports, those of a trace."""

from __future__ import annotations

from sqlalchemy import Connection, and_, func, or_, select

from outlay_collector.store.dimensions import matches
from outlay_collector.store.query import CallsQuery, StoredCall, StoredReport
from outlay_collector.store.schema import CALLS, REPORTS


def read_calls(connection: Connection, query: CallsQuery) -> list[StoredCall]:
    """The latest calls first; calls of one instant, the last to arrive first."""
    statement = select(CALLS).order_by(CALLS.c.started_at_ns.desc(), CALLS.c.id.desc()).limit(query.limit)
    statement = statement.where(matches(CALLS, query.filters))
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
