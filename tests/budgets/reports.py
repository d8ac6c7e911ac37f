"""A call as Outlay's own instrumentation reports it."""

from __future__ import annotations

from outlay.model import Call
from outlay_collector.billing import Report, Source


def report_of(call: Call, span: tuple[str, str], parent: str | None = None) -> Report:
    """`span`: the ids of its trace and of itself."""
    trace_id, span_id = span
    return Report(
        call=call,
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent,
        dialect="outlay",
        scope="outlay",
        source=Source.OUTLAY,
    )
