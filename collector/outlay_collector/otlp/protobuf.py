"""Spans out of a protobuf export request.

Parsing costs little; touching attributes from Python is what costs. So each span's attributes are walked once and a
value is only asked for where some dialect reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from outlay_collector.otlp.span import Attributes, BadBody, Decoded, Origin, Span, Wanted

_NESTING: Final = 8


def decode_protobuf(body: bytes, wanted: Wanted) -> Decoded:
    """Raises `BadBody` where the bytes are no ExportTraceServiceRequest."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise BadBody(f"the body is no ExportTraceServiceRequest in protobuf: {error}") from None
    decoded = Decoded()
    for resource_spans in request.resource_spans:
        resource = read_attributes(resource_spans.resource.attributes, wanted)
        for scope_spans in resource_spans.scope_spans:
            origin = Origin(resource, scope_spans.scope.name, scope_spans.scope.version)
            of_spans = wanted.within(origin.scope_name)
            for message in scope_spans.spans:
                _decode_span(message, origin, of_spans, decoded)
    return decoded


def _decode_span(message: SpanMessage, origin: Origin, wanted: Wanted, decoded: Decoded) -> None:
    trace_id, span_id, parent = message.trace_id, message.span_id, message.parent_span_id
    if len(trace_id) != 16 or len(span_id) != 8 or not any(trace_id) or not any(span_id):
        decoded.reject(f"span {message.name!r}: trace_id must be 16 bytes and span_id 8, not all zero")
        return
    decoded.spans.append(
        Span(
            origin=origin,
            trace_id=trace_id.hex(),
            span_id=span_id.hex(),
            parent_span_id=parent.hex() if any(parent) else None,
            name=message.name,
            kind=message.kind,
            started_at_ns=message.start_time_unix_nano,
            ended_at_ns=message.end_time_unix_nano,
            status_code=message.status.code,
            attributes=read_attributes(message.attributes, wanted),
            exception_type=_exception_type(message) if message.events else None,
        )
    )


def read_attributes(attributes: Iterable[KeyValue], wanted: Wanted) -> Attributes:
    names, prefixes = wanted.names, wanted.prefixes
    named: dict[str, Any] = {}
    families: dict[str, Any] = {}
    for attribute in attributes:
        key = attribute.key
        if key in names:
            value = attribute.value
            named[key] = value.string_value or value.int_value or value_of(value)
        elif key.startswith(prefixes):
            families[key] = value_of(attribute.value)
    return Attributes(named, families)


def value_of(value: AnyValue, depth: int = 0) -> Any:
    """None for an empty value, and for one nested deeper than any attribute we read."""
    kind = value.WhichOneof("value")
    if kind == "array_value" and depth < _NESTING:
        return [value_of(item, depth + 1) for item in value.array_value.values]
    if kind == "kvlist_value" and depth < _NESTING:
        return {item.key: value_of(item.value, depth + 1) for item in value.kvlist_value.values}
    if kind in ("string_value", "int_value", "double_value", "bool_value"):
        return getattr(value, kind)
    return None


def _exception_type(message: SpanMessage) -> str | None:
    for event in reversed(message.events):
        if event.name == "exception":
            for attribute in event.attributes:
                if attribute.key == "exception.type":
                    return str(attribute.value.string_value) or None
    return None
