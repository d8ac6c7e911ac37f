"""Which stored calls a report may belong to that it shares neither trace nor response id with.

An SDK's own span and an instrumentation's, or a request and its stream, may each begin a trace of their own. Then time
is what they are looked for by; whether they are one call is `billing`'s to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, select

from outlay_collector.billing import LONGEST_CALL_NS, SELF_REPORTING, SPLIT_STREAMS, Report, Source
from outlay_collector.store.schema import CALLS, REPORTS

_MOST_CALLS: Final = 500


def is_lonely(report: Report) -> bool:
    """One that may be told of in another trace, without a shared id."""
    if report.call.provider not in SELF_REPORTING or report.source in (Source.OUTLAY, Source.RECORD):
        return False
    return not report.call.response_id or (report.source is Source.SDK and report.parent_span_id is None)


def lonely_near(connection: Connection, reports: Iterable[Report]) -> set[int]:
    """The stored calls that ran when one of these did, of which nobody else told."""
    calls = [report.call for report in reports if is_lonely(report)]
    if not calls:
        return set()
    began, ended = min(call.started_at_ns for call in calls), max(call.ended_at_ns for call in calls)
    near = select(CALLS.c.id).where(
        CALLS.c.started_at_ns.between(began - LONGEST_CALL_NS, ended),
        CALLS.c.ended_at_ns >= began,
        CALLS.c.response_id.is_(None) | CALLS.c.parent_span_id.is_(None),
        CALLS.c.provider.in_(SELF_REPORTING),
    )
    return set(connection.execute(near.limit(_MOST_CALLS)).scalars())


def is_of_a_stream(report: Report) -> bool:
    return report.dialect in SPLIT_STREAMS and report.source is Source.RECORD


def _may_begin_a_stream(report: Report) -> bool:
    call = report.call
    return report.dialect in SPLIT_STREAMS and (call.usage, call.response_id, call.error_type) == (None, None, None)


def streams_near(connection: Connection, reports: Iterable[Report]) -> set[int]:
    """The stored calls that one of these may be the other half of."""
    halves = [r for r in reports if is_of_a_stream(r) or _may_begin_a_stream(r)]
    if not halves:
        return set()
    began, ended = min(r.call.started_at_ns for r in halves), max(r.call.ended_at_ns for r in halves)
    near = (
        select(REPORTS.c.call_id)
        .join_from(REPORTS, CALLS, CALLS.c.id == REPORTS.c.call_id)
        .where(
            CALLS.c.started_at_ns.between(began - LONGEST_CALL_NS, ended + LONGEST_CALL_NS),
            REPORTS.c.scope.in_({r.scope for r in halves}),
        )
        .order_by(CALLS.c.started_at_ns.desc())
    )
    return set(connection.execute(near.limit(_MOST_CALLS)).scalars())
