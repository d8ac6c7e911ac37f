"""Log records out of an export request, in protobuf or JSON: those of events that some dialect reads, as spans.

Applications send all they log to one endpoint, so a record's name is looked at before anything else is. A record is
read as a span that has no length, inside the span it was made in. It has no id of its own: the one it is given here is
made from what it says, so that a record that is sent again is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from outlay_collector.otlp import json, protobuf
from outlay_collector.otlp.span import Attributes, BadBody, Decoded, Origin, Span, Wanted

EVENT_NAME: Final = "event.name"
_LONGEST_NAME: Final = 128


def decode_logs(body: bytes, wanted: Wanted, events: Mapping[str, str], *, is_json: bool) -> Decoded:
    """The records of `events` (the names they go by, and what each is called). Raises `BadBody`."""
    return _decode_json(body, wanted, events) if is_json else _decode_protobuf(body, wanted, events)


def _decode_protobuf(body: bytes, wanted: Wanted, events: Mapping[str, str]) -> Decoded:
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise BadBody(f"the body is no ExportLogsServiceRequest in protobuf: {error}") from None
    decoded = Decoded()
    for resource_logs in request.resource_logs:
        resource: Attributes | None = None
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                if (name := _known(_names(record), events)) is None:
                    continue
                resource = resource or protobuf.read_attributes(resource_logs.resource.attributes, wanted)
                origin = Origin(resource, scope_logs.scope.name, scope_logs.scope.version)
                attributes = protobuf.read_attributes(record.attributes, wanted)
                trace_id = record.trace_id.hex() if len(record.trace_id) == 16 and any(record.trace_id) else None
                span_id = record.span_id.hex() if len(record.span_id) == 8 and any(record.span_id) else None
                at_ns = record.time_unix_nano or record.observed_time_unix_nano
                decoded.spans.append(_span(origin, name, trace_id, span_id, at_ns, attributes))
    return decoded


def _names(record: LogRecord) -> Iterable[object]:
    yield record.event_name
    for attribute in record.attributes:
        if attribute.key == EVENT_NAME:
            yield attribute.value.string_value
    yield record.body.string_value


def _decode_json(body: bytes, wanted: Wanted, events: Mapping[str, str]) -> Decoded:
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadBody(f"the body is no JSON: {error}") from None
    if not isinstance(request, dict) or not isinstance(request.get("resourceLogs", []), list):
        raise BadBody("the body is no export request: expected an object whose resourceLogs is a list")
    decoded = Decoded()
    for resource_logs in json.objects(request, "resourceLogs"):
        resource: Attributes | None = None
        for scope_logs in json.objects(resource_logs, "scopeLogs"):
            scope = json.object_of(scope_logs, "scope")
            for record in json.objects(scope_logs, "logRecords"):
                if (name := _known(_json_names(record), events)) is None:
                    continue
                resource = resource or json.read_attributes(json.object_of(resource_logs, "resource"), wanted)
                origin = Origin(resource, str(scope.get("name") or ""), str(scope.get("version") or ""))
                at_ns = json.int_of(record.get("timeUnixNano", 0)) or json.int_of(record.get("observedTimeUnixNano", 0))
                trace_id, span_id = json.id_of(record.get("traceId"), 32), json.id_of(record.get("spanId"), 16)
                attributes = json.read_attributes(record, wanted)
                decoded.spans.append(_span(origin, name, trace_id, span_id, at_ns or 0, attributes))
    return decoded


def _json_names(record: Mapping[str, Any]) -> Iterable[object]:
    yield record.get("eventName")
    for attribute in json.objects(record, "attributes"):
        if attribute.get("key") == EVENT_NAME:
            yield json.value_of(attribute.get("value"))
    yield json.value_of(record.get("body"))


def _known(names: Iterable[object], events: Mapping[str, str]) -> str | None:
    for name in names:
        if isinstance(name, str) and len(name) <= _LONGEST_NAME and (known := events.get(name)):
            return known
    return None


def _span(
    origin: Origin, name: str, trace_id: str | None, span_id: str | None, at_ns: int, attributes: Attributes
) -> Span:
    said = sorted((key, str(value)) for key, value in (*attributes.named.items(), *attributes.families.items()))
    identity = repr((origin.scope, name, trace_id, span_id, at_ns, said)).encode("utf-8", "replace")
    digest = blake2b(identity, digest_size=24).hexdigest()
    return Span(
        origin=origin,
        trace_id=trace_id or digest[:32],
        span_id=digest[32:],
        parent_span_id=span_id if trace_id else None,
        name=name,
        kind=0,
        started_at_ns=at_ns,
        ended_at_ns=at_ns,
        status_code=0,
        attributes=attributes,
    )
