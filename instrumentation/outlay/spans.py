"""Where a call's span begins and ends.

An application that has a tracer provider gets the span through it, sampled and exported as it has decided. Without
one the span is only its identity: ids in the current context, so that whatever happens during the call nests below it.
Either way the finished call goes to the collector by itself (`export`), whole and unsampled: a bill cannot be sampled.
Nothing is ever added to the application's provider.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context, get_current
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
from outlay.emit import AttributeValue, span_attributes
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


class TracedSpan:
    """The span of a call under way, as the application's tracer provider made it."""

    __slots__ = ("began_in", "ids", "is_recorded", "span")

    def __init__(self, span: Span, ids: SpanIds, began_in: Context) -> None:
        self.span = span
        self.ids = ids
        self.began_in = began_in
        self.is_recorded = span.is_recording()
        """Whether the provider wants to know what the call was."""

    def tell(self, call: Call) -> Mapping[str, AttributeValue] | None:
        """Tell it. With what it was told, None where it does not want to know any more."""
        span = self.span
        if not span.is_recording():
            return None
        told = span_attributes(call)
        span.set_attributes(told)
        if call.error_type is not None:
            span.set_status(Status(StatusCode.ERROR))
        span.end(call.ended_at_ns)
        return told


class UnseenSpan(NonRecordingSpan):
    """One that no tracer provider is told of: its ids, which it is given when somebody first asks for them. Few do
    before the call is over, and making them takes longer than all else of it."""

    is_recorded: Final = False

    def __init__(self) -> None:
        self.began_in = get_current()

    @property
    def span(self) -> Span:
        return self

    @property
    def ids(self) -> SpanIds:
        """The same for every thread that asks."""
        made: dict[str, SpanIds] = vars(self)
        return made.get("_ids") or made.setdefault("_ids", _below(trace.get_current_span(self.began_in)))

    def get_span_context(self) -> SpanContext:
        ids = self.ids
        return SpanContext(ids.trace_id, ids.span_id, is_remote=False, trace_flags=TraceFlags(ids.flags))

    def tell(self, call: Call) -> None:
        """There is nobody to tell."""

    def __repr__(self) -> str:
        return f"NonRecordingSpan({self.get_span_context()!r})"


OpenSpan = TracedSpan | UnseenSpan


def open_span(provider: str, request: Request, started_at_ns: int) -> OpenSpan:
    """A span below the current one."""
    tracers = _tracers()
    if tracers is not None:
        began_in = get_current()
        parent = trace.get_current_span(began_in).get_span_context()
        span = _tracer(tracers).start_span(
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
            return TracedSpan(span, SpanIds(own.trace_id, own.span_id, above, own.trace_flags), began_in)
    return UnseenSpan()


@lru_cache(maxsize=1)
def _tracer(tracers: trace.TracerProvider) -> trace.Tracer:
    """Outlay's own. Made once: a provider makes a new one whenever it is asked, which takes as long as half a span."""
    return tracers.get_tracer(at.SCOPE)


def _tracers() -> trace.TracerProvider | None:
    """The application's, None where it has none. Until it has one, asking OpenTelemetry looks at the environment every
    time, which takes longer than all else of a span."""
    if not _IS_NAMED and getattr(trace, "_TRACER_PROVIDER", _UNKNOWN) is None:
        return None
    tracers = trace.get_tracer_provider()
    return None if isinstance(tracers, _SILENT) else tracers


def identify() -> SpanIds:
    """Ids of a span below the current one, which nobody else is told of."""
    return _below(trace.get_current_span())


def _below(parent: Span) -> SpanIds:
    span_id = _noise.getrandbits(64) or 1
    if parent is not INVALID_SPAN:
        above = parent.get_span_context()
        if above.is_valid:
            return SpanIds(above.trace_id, span_id, above.span_id, above.trace_flags)
    return SpanIds(_noise.getrandbits(128) or 1, span_id, None, TraceFlags.SAMPLED)
