"""Log records that tell of calls: which events, and who reads each.

The conventions' event says of a call what its span says, in the same words: it is read as a span would be, by whoever
the scope belongs to. Without a span around it and without a response id it could not be told from the span it repeats,
so it is let go. Coding tools' records are calls of their own, unless a span tells of the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from outlay_collector.billing import Report, Source
from outlay_collector.dialects.registry import TOOLS, WANTED, dialect_of
from outlay_collector.otlp.logs import EVENT_NAME
from outlay_collector.otlp.span import Span, Wanted

DETAILS: Final = "gen_ai.client.inference.operation.details"
_API_EVENTS: Final = ("api_request", "api_error")
"""Claude Code leaves its own name out of `event.name`; the record's body has it whole."""
_BY_EVENT: Final = {event: tool for tool in TOOLS for event in tool.events}
EVENTS: Final = {DETAILS: DETAILS, **{event: event for event in _BY_EVENT}}
RECORDS: Final = Wanted(names=WANTED.names | {EVENT_NAME, "event.sequence"}, prefixes=WANTED.prefixes)


def read_record(record: Span) -> Report | None:
    """What a record says of its call; None where it tells of none."""
    if (tool := _BY_EVENT.get(record.name)) is not None:
        return tool.read_record(record)
    if any(record.origin.scope_name.startswith(tool.name) for tool in TOOLS):
        return None  # Gemini CLI logs each response twice, here without its thoughts
    dialect = dialect_of(record)
    report = None if dialect is None else dialect.read(record)
    if report is None or (report.call.usage is None and report.call.response_id is None):
        return None  # of the request alone
    if report.parent_span_id is None and report.call.response_id is None:
        return None
    return replace(report, source=Source.RECORD)
