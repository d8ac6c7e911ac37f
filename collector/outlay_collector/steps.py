"""Steps: spans that are no call (agents, tools, chains, retrievals), kept so that a trace can be drawn as a tree.

Never billed. Of a step only what a tree shows is kept: no prompt, no argument, no result. Spans that are neither a call
nor a step of one (a server's, a database's) are let go; what hangs below one stands at the top of its tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from outlay_collector.dialects.registry import dialect_of
from outlay_collector.otlp.span import ERROR, Span

LONGEST_NAME: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One of them. Ids in hex. `kind` is agent, tool, chain or retrieval."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    kind: str
    name: str
    started_at_ns: int
    ended_at_ns: int
    failed: bool


def read_step(span: Span) -> Step | None:
    """The step a span is that `dialects` found no call in; None where it is of no interest."""
    dialect = dialect_of(span)
    kind = None if dialect is None else dialect.step(span)
    if kind is None:
        return None
    return Step(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        kind=kind,
        name=span.name[:LONGEST_NAME].replace("\0", ""),
        started_at_ns=span.started_at_ns,
        ended_at_ns=span.ended_at_ns,
        failed=span.status_code == ERROR,
    )
