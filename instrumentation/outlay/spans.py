"""Where a call's span begins and ends.

An application that has a tracer provider gets the span through it, sampled and exported as it has decided. Without
one the span is only its identity: ids in the current context, so that whatever happens during the call nests below it.
Either way the finished call goes to the collector by itself (`export`), whole and unsampled: a bill cannot be sampled.
Nothing is ever added to the application's provider.
"""

from __future__ import annotations

import os
import random
from typing import Final

from opentelemetry import trace
from opentelemetry.environment_variables import OTEL_PYTHON_TRACER_PROVIDER
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

from outlay import attributes as at
from outlay.emit import span_attributes
from outlay.model import Call
from outlay.providers.base import Request
from outlay.providers.names import conventional_provider
from outlay.records import record

_UNKNOWN: Final = object()
_SILENT: Final = (trace.ProxyTracerProvider, trace.NoOpTracerProvider)
_IS_NAMED: Final = OTEL_PYTHON_TRACER_PROVIDER in os.environ
_noise: Final = random.Random()
"""A source of our own: programs that seed the shared one alike would make the same ids, and so would forks of one."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_noise.seed)


@record(frozen=True, slots=True)
class SpanIds:
    """The identity of a span; `parent_span_id` is None for the root of a trace."""

    trace_id: int
    span_id: int
    parent_span_id: int | None
    flags: int

    def hex(self) -> tuple[str, str]:
        """Trace id and span id as 32 and 16 lower-case digits."""
        return f"{self.trace_id:032x}", f"{self.span_id:016x}"


class _Unseen(NonRecordingSpan):
    """A span that is its ids. Its context is made where somebody asks for it, which few do: that takes longer."""

    def __init__(self, ids: SpanIds) -> None:
        self._ids = ids

    def get_span_context(self) -> SpanContext:
        ids = self._ids
        return SpanContext(ids.trace_id, ids.span_id, is_remote=False, trace_flags=TraceFlags(ids.flags))

    def __repr__(self) -> str:
        return f"NonRecordingSpan({self.get_span_context()!r})"


class OpenSpan:
    """The span of a call under way."""

    __slots__ = ("ids", "span")

    def __init__(self, span: Span, ids: SpanIds) -> None:
        self.span = span
        self.ids = ids

    @classmethod
    def unseen(cls) -> OpenSpan:
        """One that the application's tracer provider is not told of."""
        ids = identify()
        return cls(_Unseen(ids), ids)

    @property
    def is_recorded(self) -> bool:
        """Whether the application has a tracer provider that records this span."""
        return self.span.is_recording()

    def end(self, call: Call) -> None:
        """Tell the application's tracer provider what the call was."""
        span = self.span
        if not span.is_recording():
            return
        span.set_attributes(span_attributes(call))
        if call.error_type is not None:
            span.set_status(Status(StatusCode.ERROR))
        span.end(call.ended_at_ns)


def open_span(provider: str, request: Request, started_at_ns: int) -> OpenSpan:
    """A span below the current one."""
    tracers = _tracers()
    if tracers is not None:
        parent = trace.get_current_span().get_span_context()
        span = tracers.get_tracer(at.SCOPE).start_span(
            f"{request.operation} {request.model}" if request.model else request.operation,
            kind=SpanKind.CLIENT,
            attributes={
                at.PROVIDER: conventional_provider(provider),
                at.OPERATION: request.operation,
                **({at.REQUEST_MODEL: request.model} if request.model else {}),
            },
            start_time=started_at_ns,
        )
        own = span.get_span_context()
        if own.is_valid:
            above = parent.span_id if parent.is_valid else None
            return OpenSpan(span, SpanIds(own.trace_id, own.span_id, above, own.trace_flags))
    return OpenSpan.unseen()


def _tracers() -> trace.TracerProvider | None:
    """The application's, None where it has none. Until it has one, asking OpenTelemetry looks at the environment every
    time, which takes longer than all else of a span."""
    if not _IS_NAMED and getattr(trace, "_TRACER_PROVIDER", _UNKNOWN) is None:
        return None
    tracers = trace.get_tracer_provider()
    return None if isinstance(tracers, _SILENT) else tracers


def identify() -> SpanIds:
    """Ids of a span below the current one, which nobody else is told of."""
    span_id = _noise.getrandbits(64) or 1
    current = trace.get_current_span()
    if current is not INVALID_SPAN:
        parent = current.get_span_context()
        if parent.is_valid:
            return SpanIds(parent.trace_id, span_id, parent.span_id, parent.trace_flags)
    return SpanIds(_noise.getrandbits(128) or 1, span_id, None, TraceFlags.SAMPLED)
