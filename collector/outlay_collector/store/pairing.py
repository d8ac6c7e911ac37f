"""Which stored calls a report may belong to that it shares neither a response id nor a place in its trace with.

An SDK's own span and an instrumentation's, or a request and its stream, may each begin a trace of their own. Then time
is what they are looked for by, and what was counted; whether they are one call is `billing`'s and `echoes`' to say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Final

import orjson
from sqlalchemy import Connection, or_, select

from outlay_collector.billing import LONGEST_CALL_NS, SELF_REPORTING, SPLIT_STREAMS, Report, Source
from outlay_collector.echoes import counts_of, is_apart, saw_a_stream, saw_only_the_beginning
from outlay_collector.moments import AT_ONCE_NS, LATE_NS, SLACK_NS, is_left_open
from outlay_collector.store.inserting import rows_by_key
from outlay_collector.store.schema import CALLS, REPORTS

_MOST_CALLS: Final = 500
_MOST_MOMENTS: Final = 10
_LONGEST_EMBEDDING_NS: Final = 60 * 1_000_000_000
_BY_OUTPUT: Final = "output_tokens"
_BY_INPUT: Final = "(output_tokens IS NULL OR output_tokens = 0) AND input_tokens"


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


def overlapping(connection: Connection, call_ids: Collection[int], reports: Collection[Report]) -> set[int]:
    """Those of the calls that went on while one of the reports did."""
    if not call_ids:
        return set()
    began, ended = _span_of(reports)
    return _ids(connection, "id", f"started_at_ns <= {ended} AND ended_at_ns >= {began}", call_ids)


def echoes_near(connection: Connection, reports: Collection[Report]) -> set[int]:
    """The stored calls, in whatever trace, that one of the reports may repeat, or that may repeat one of them: in the
    first case the report has no response id, in the second the call has none. Another instrumentation told of them."""
    found = _failed_near(connection, [r for r in reports if r.call.usage is None and r.call.error_type])
    found |= _begun_near(connection, [r for r in reports if saw_a_stream(r)])
    found |= _streams_near(connection, [r for r in reports if saw_only_the_beginning(r)])
    counted = [report for report in reports if report.call.usage is not None]
    apart = [report for report in counted if is_apart(report)]
    inner: set[int] = set()
    outer: set[int] = set()
    of_apart, of_any = _marked(apart), _marked(counted)
    for kind, among, longest_ns in (("out", _BY_OUTPUT, LONGEST_CALL_NS), ("in", _BY_INPUT, _LONGEST_EMBEDDING_NS)):
        if counts := of_apart[kind]:
            began, ended = _span_of(apart)
            later_ns = LONGEST_CALL_NS if any(is_left_open(report.call) for report in apart) else 0
            when = f"started_at_ns BETWEEN {began} AND {ended} AND ended_at_ns <= {ended + later_ns}"
            inner |= _ids(connection, among, when, counts)
        if counts := of_any[kind]:
            began, ended = _span_of(counted)
            when = f"started_at_ns BETWEEN {began - longest_ns} AND {ended} AND ended_at_ns >= {began}"
            outer |= _ids(connection, among, f"response_id IS NULL AND {when}", counts)
    found |= _told_by_others(connection, inner, {report.scope for report in apart})
    return found | _told_by_others(connection, outer, {report.scope for report in counted})


def _failed_near(connection: Connection, failed: Collection[Report]) -> set[int]:
    """The stored calls that failed while one of these did: of them nothing was counted to look for them by."""
    if not failed:
        return set()
    began, ended = _span_of(failed)
    near = (
        select(CALLS.c.id)
        .where(
            CALLS.c.status == "error",
            CALLS.c.started_at_ns.between(began - LONGEST_CALL_NS, ended),
            CALLS.c.ended_at_ns >= began,
            CALLS.c.response_id.is_(None),
        )
        .order_by(CALLS.c.started_at_ns.desc())
    )
    found = set(connection.execute(near.limit(_MOST_CALLS)).scalars())
    return _told_by_others(connection, found, {report.scope for report in failed})


def _begun_near(connection: Connection, streams: Collection[Report]) -> set[int]:
    """The stored calls of which nothing was counted that began when one of these did."""
    if not streams:
        return set()
    began = [report.call.started_at_ns for report in streams]
    near = (
        "SELECT id FROM calls WHERE response_id IS NULL AND output_tokens IS NULL AND status = 'ok' AND "
        f"started_at_ns BETWEEN {min(began) - AT_ONCE_NS} AND {max(began) + SLACK_NS} "
        f"ORDER BY started_at_ns DESC LIMIT {_MOST_CALLS}"
    )
    found = {call_id for (call_id,) in connection.exec_driver_sql(near)}
    return _told_by_others(connection, found, {report.scope for report in streams})


def _streams_near(connection: Connection, begun: Collection[Report]) -> set[int]:
    """The stored streams that began when one of these did: busy services have many, so each is looked for by itself."""
    found: set[int] = set()
    began = sorted({report.call.started_at_ns for report in begun})
    for at in range(0, len(began), _MOST_MOMENTS):
        some = began[at : at + _MOST_MOMENTS]
        moments = or_(*(CALLS.c.started_at_ns.between(at_ns - SLACK_NS, at_ns + AT_ONCE_NS) for at_ns in some))
        near = select(CALLS.c.id).where(moments, CALLS.c.streamed).order_by(CALLS.c.started_at_ns.desc())
        found.update(connection.execute(near.limit(_MOST_CALLS)).scalars())
    return _told_by_others(connection, found, {report.scope for report in begun})


def _told_by_others(connection: Connection, call_ids: set[int], scopes: set[str]) -> set[int]:
    """Those of which an instrumentation told that is not the only one at hand: most traffic is of one."""
    told = rows_by_key(connection, "reports", ("call_id", "scope"), "call_id", call_ids)
    return {call_id for call_id, scope in told if scopes != {scope}}


def _marked(reports: Iterable[Report]) -> defaultdict[str, set[int]]:
    """The counts they are looked for by, by their kind."""
    counts: defaultdict[str, set[int]] = defaultdict(set)
    for report in reports:
        for kind, said in () if (usage := report.call.usage) is None else counts_of(usage):
            if said is not None:
                counts[kind].add(said)
    return counts


def _span_of(reports: Collection[Report]) -> tuple[int, int]:
    began = min(report.call.started_at_ns for report in reports)
    return began - LATE_NS, max(report.call.ended_at_ns for report in reports) + LATE_NS


def _ids(connection: Connection, among: str, when: str, values: Collection[int]) -> set[int]:
    """The latest calls of which that holds. All values are one parameter, as in `inserting.rows_by_key`."""
    postgres = connection.dialect.name == "postgresql"
    listed = "= ANY(%s)" if postgres else "IN (SELECT value FROM json_each(?))"
    statement = (
        f"SELECT id FROM calls WHERE {among} {listed} AND {when} ORDER BY started_at_ns DESC LIMIT {_MOST_CALLS}"
    )
    parameter = list(values) if postgres else orjson.dumps(list(values)).decode()
    return {call_id for (call_id,) in connection.exec_driver_sql(statement, (parameter,))}
