"""Finished calls as the bytes of one OTLP export request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from outlay import attributes as at
from outlay.emit import AttributeValue, span_attributes, span_name
from outlay.guard import shielded
from outlay.model import Attribution

if TYPE_CHECKING:
    from outlay.export import Finished

_SCOPE = InstrumentationScope(name=at.SCOPE, version=version("outlay"))


def encode(calls: Iterable[Finished]) -> tuple[bytes, int]:
    """One request; a resource for each service and environment among the calls. With it how many calls it holds: one
    that cannot be encoded is left out."""
    by_resource: dict[tuple[str | None, str | None], list[Span]] = {}
    for finished in calls:
        who = finished.call.attribution
        if (span := _span(finished)) is not None:
            by_resource.setdefault((who.service, who.environment), []).append(span)
    request = ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=_resource(Attribution(service=service, environment=environment)),
                scope_spans=[ScopeSpans(scope=_SCOPE, spans=spans)],
            )
            for (service, environment), spans in by_resource.items()
        ]
    )
    return request.SerializeToString(), sum(map(len, by_resource.values()))


def halves(body: bytes) -> tuple[bytes, bytes]:
    """Two requests with what was in one, in its order. The first is empty where there was a single span."""
    whole = ExportTraceServiceRequest.FromString(body)
    spans = sum(len(scope.spans) for group in whole.resource_spans for scope in group.scope_spans)
    return _part(whole, 0, spans // 2), _part(whole, spans // 2, spans)


def _part(whole: ExportTraceServiceRequest, begin: int, end: int) -> bytes:
    part, passed = ExportTraceServiceRequest(), 0
    part.CopyFrom(whole)
    for group in part.resource_spans:
        for scope in group.scope_spans:
            spans = list(scope.spans)
            del scope.spans[:]
            scope.spans.extend(spans[max(0, begin - passed) : max(0, end - passed)])
            passed += len(spans)
    encoded: bytes = part.SerializeToString()
    return encoded


def _resource(who: Attribution) -> Resource:
    said = {at.SERVICE: who.service, at.ENVIRONMENT: who.environment, "telemetry.sdk.language": "python"}
    return Resource(attributes=_pairs({name: value for name, value in said.items() if value is not None}))


@shielded
def _span(finished: Finished) -> Span:
    call, ids = finished.call, finished.ids
    failed = call.error_type is not None
    return Span(
        trace_id=ids.trace_id.to_bytes(16),
        span_id=ids.span_id.to_bytes(8),
        parent_span_id=b"" if ids.parent_span_id is None else ids.parent_span_id.to_bytes(8),
        flags=ids.flags,
        name=span_name(call),
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=call.started_at_ns,
        end_time_unix_nano=call.ended_at_ns,
        attributes=_pairs(span_attributes(call)),
        status=Status(code=Status.STATUS_CODE_ERROR) if failed else None,
    )


def _pairs(attributes: Mapping[str, AttributeValue]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_value(value)) for name, value in attributes.items()]


def _value(value: AttributeValue) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value.encode("utf-8", "replace").decode() if not value.isascii() else value)
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(array_value=ArrayValue(values=[_value(item) for item in value]))
