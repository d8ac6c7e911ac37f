"""What is stored of the traces that reports at hand are of: enough to find the calls around and beneath each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, select

from outlay_collector.billing import Report
from outlay_collector.paths import SpanKey
from outlay_collector.store.inserting import among, portions, rows_by_key, rows_by_pair
from outlay_collector.store.schema import STEPS

MOST_ROWS: Final = 1_000
_COLUMNS: Final = ("trace_id", "span_id", "parent_span_id", "call_id", "scope")
_KEY: Final = itemgetter(0, 1)
"""In one order: of calls beneath a span that one instrumentation tells of, the first is one call with it."""


class Neighbours:
    """The reports already stored: span to call, parent span to the calls under it, and who told of each trace.

    Where the traces have more than `MOST_ROWS`, only what can matter is there of those that one instrumentation tells
    of: the spans themselves, those above and those beneath. By its place nothing else in such a trace is one call with
    them: an echo is another instrumentation's.
    """

    def __init__(self, connection: Connection, reports: Collection[Report]) -> None:
        self.calls: dict[SpanKey, int] = {}
        self.parents: dict[SpanKey, str | None] = {}
        self.under: defaultdict[SpanKey, list[int]] = defaultdict(list)
        self.scopes: defaultdict[str, set[str]] = defaultdict(set)
        traces = {report.trace_id for report in reports}
        rows = rows_by_key(connection, "reports", _COLUMNS, "trace_id", traces, MOST_ROWS + 1)
        if len(rows) > MOST_ROWS:
            rows = self._narrowed(connection, reports, traces)
        for trace_id, span_id, parent, call_id, scope in sorted(rows, key=_KEY):
            self.calls[trace_id, span_id] = call_id
            self.parents[trace_id, span_id] = parent
            self.scopes[trace_id].add(scope)
            if parent:
                self.under[trace_id, parent].append(call_id)

    def _narrowed(self, connection: Connection, reports: Collection[Report], traces: set[str]) -> Sequence[Any]:
        for trace_id, scope in rows_by_key(connection, "reports", ("DISTINCT trace_id", "scope"), "trace_id", traces):
            self.scopes[trace_id].add(scope)
        whole = self.told_of_by_several(reports)
        rows = rows_by_key(connection, "reports", _COLUMNS, "trace_id", whole)
        return [*rows, *_around(connection, [report for report in reports if report.trace_id not in whole])]

    def of(self, traces: set[str]) -> set[int]:
        """The calls of these traces."""
        return {call_id for (trace_id, _), call_id in self.calls.items() if trace_id in traces} if traces else set()

    def told_of_by_several(self, fresh: Iterable[Report]) -> set[str]:
        """The traces in which more than one instrumentation tells of calls."""
        scopes: dict[str, str] = {}
        several = set()
        for report in fresh:
            if scopes.setdefault(report.trace_id, report.scope) != report.scope:
                several.add(report.trace_id)
        stored = self.scopes
        return several | {trace_id for trace_id, scope in scopes.items() if stored.get(trace_id, {scope}) != {scope}}


def _around(connection: Connection, reports: Collection[Report]) -> set[Any]:
    """The rows of these spans, of those directly above and of those directly beneath."""
    if not reports:
        return set()
    own = {(report.trace_id, report.span_id) for report in reports}
    above = {(report.trace_id, report.parent_span_id) for report in reports if report.parent_span_id}
    found = rows_by_pair(connection, "reports", _COLUMNS, ("trace_id", "span_id"), own | above)
    return {*map(tuple, found), *_beneath(connection, own)}


def _beneath(connection: Connection, spans: Collection[SpanKey]) -> Iterator[tuple[Any, ...]]:
    """There is no index of parents, which every call would be entered in: the database looks through the traces."""
    in_traces, traces = among(connection, "trace_id", {trace_id for trace_id, _ in spans})
    under, parents = among(connection, "parent_span_id", {span_id for _, span_id in spans})
    select = f"SELECT {', '.join(_COLUMNS)} FROM reports WHERE {in_traces} AND {under}"
    rows = connection.exec_driver_sql(select, (traces, parents))
    return (tuple(row) for row in rows if (row.trace_id, row.parent_span_id) in spans)


def parents_of_steps(connection: Connection, traces: Collection[str]) -> dict[SpanKey, str | None]:
    """The parent of each step of these traces; None where it begins one."""
    found: dict[SpanKey, str | None] = {}
    for some in portions(bytes.fromhex(trace_id) for trace_id in traces):
        wanted = select(STEPS.c.trace_id, STEPS.c.span_id, STEPS.c.parent_span_id).where(STEPS.c.trace_id.in_(some))
        for trace_id, span_id, parent in connection.execute(wanted):
            found[bytes(trace_id).hex(), bytes(span_id).hex()] = None if parent is None else bytes(parent).hex()
    return found
