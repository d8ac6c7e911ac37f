"""What is stored of the traces that reports at hand are of: enough to find the calls around and beneath each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import islice
from typing import Final

from sqlalchemy import Connection, select

from outlay_collector.billing import Report
from outlay_collector.paths import SpanKey
from outlay_collector.store.inserting import rows_by_key
from outlay_collector.store.schema import STEPS

_MOST_TRACES: Final = 500


class Neighbours:
    """The reports already stored: span to call, parent span to the calls under it, and who told of each trace."""

    def __init__(self, connection: Connection, traces: set[str]) -> None:
        self.calls: dict[SpanKey, int] = {}
        self.parents: dict[SpanKey, str | None] = {}
        self.under: defaultdict[SpanKey, list[int]] = defaultdict(list)
        self.scopes: defaultdict[str, set[str]] = defaultdict(set)
        wanted = ("trace_id", "span_id", "parent_span_id", "call_id", "scope")
        for trace_id, span_id, parent, call_id, scope in rows_by_key(connection, "reports", wanted, "trace_id", traces):
            self.calls[trace_id, span_id] = call_id
            self.parents[trace_id, span_id] = parent
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


def parents_of_steps(connection: Connection, traces: Collection[str]) -> dict[SpanKey, str | None]:
    """The parent of each step of these traces; None where it begins one."""
    found: dict[SpanKey, str | None] = {}
    ids = iter([bytes.fromhex(trace_id) for trace_id in traces])
    while some := list(islice(ids, _MOST_TRACES)):
        wanted = select(STEPS.c.trace_id, STEPS.c.span_id, STEPS.c.parent_span_id).where(STEPS.c.trace_id.in_(some))
        for trace_id, span_id, parent in connection.execute(wanted):
            found[bytes(trace_id).hex(), bytes(span_id).hex()] = None if parent is None else bytes(parent).hex()
    return found
