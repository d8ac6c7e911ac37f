"""What is stored of the traces that reports at hand are of: enough to find the calls around and beneath each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection

from outlay_collector.billing import Report
from outlay_collector.store.inserting import rows_by_key

SpanKey = tuple[str, str]


class Neighbours:
    """The reports already stored: span to call, parent span to the calls under it, and who told of each trace."""

    def __init__(self, connection: Connection, traces: set[str]) -> None:
        self.calls: dict[SpanKey, int] = {}
        self.under: defaultdict[SpanKey, list[int]] = defaultdict(list)
        self.scopes: defaultdict[str, set[str]] = defaultdict(set)
        wanted = ("trace_id", "span_id", "parent_span_id", "call_id", "scope")
        for trace_id, span_id, parent, call_id, scope in rows_by_key(connection, "reports", wanted, "trace_id", traces):
            self.calls[trace_id, span_id] = call_id
            self.scopes[trace_id].add(scope)
            if parent:
                self.under[trace_id, parent].append(call_id)

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
