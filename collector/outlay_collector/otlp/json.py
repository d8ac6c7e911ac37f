"""Spans out of a JSON export request.

Ids are hex and 64-bit numbers may be strings, so protobuf's own JSON mapping misreads both; the document is walked as
it is. Whatever has an unexpected shape is left out, as unknown fields are in protobuf.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from outlay_collector.otlp.span import (
    EXCEPTION,
    Attributes,
    BadBody,
    Decoded,
    Event,
    Origin,
    Span,
    Wanted,
    exception_status,
    exception_type,
)

_NESTING: Final = 8
_HEX: Final = frozenset("0123456789abcdef")
_STATUS_NAMES: Final = {"STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_KINDS: Final = ("INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_KIND_NAMES: Final = {f"SPAN_KIND_{name}": number for number, name in enumerate(_KINDS, 1)}


def decode_json(body: bytes, wanted: Wanted) -> Decoded:
    """Raises `BadBody` where the bytes are no JSON object with `resourceSpans`."""
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadBody(f"the body is no JSON: {error}") from None
    if not isinstance(request, dict) or not isinstance(request.get("resourceSpans", []), list):
        raise BadBody("the body is no export request: expected an object whose resourceSpans is a list")
    decoded = Decoded()
    for resource_spans in objects(request, "resourceSpans"):
        resource = read_attributes(object_of(resource_spans, "resource"), wanted)
        for scope_spans in objects(resource_spans, "scopeSpans"):
            scope = object_of(scope_spans, "scope")
            origin = Origin(resource, str(scope.get("name") or ""), str(scope.get("version") or ""))
            of_spans = wanted.within(origin.scope_name)
            for span in objects(scope_spans, "spans"):
                _decode_span(span, origin, of_spans, decoded)
    return decoded


def _decode_span(span: Mapping[str, Any], origin: Origin, wanted: Wanted, decoded: Decoded) -> None:
    trace_id, span_id = id_of(span.get("traceId"), 32), id_of(span.get("spanId"), 16)
    started_at_ns, ended_at_ns = int_of(span.get("startTimeUnixNano", 0)), int_of(span.get("endTimeUnixNano", 0))
    if trace_id is None or span_id is None:
        decoded.reject("traceId must be 32 hex digits and spanId 16, not all zero")
    elif started_at_ns is None or ended_at_ns is None:
        decoded.reject("startTimeUnixNano and endTimeUnixNano must be nanoseconds since the epoch")
    else:
        status = object_of(span, "status").get("code", 0)
        kind = span.get("kind", 0)
        raised = _exception(span)
        decoded.spans.append(
            Span(
                origin=origin,
                trace_id=trace_id,
                span_id=span_id,
                parent_span_id=id_of(span.get("parentSpanId"), 16),
                name=str(span.get("name") or ""),
                kind=_KIND_NAMES.get(kind, 0) if isinstance(kind, str) else int_of(kind) or 0,
                started_at_ns=started_at_ns,
                ended_at_ns=ended_at_ns,
                status_code=_STATUS_NAMES.get(status, 0) if isinstance(status, str) else int_of(status) or 0,
                attributes=read_attributes(span, wanted),
                exception_type=exception_type(raised) if raised else None,
                exception_status=exception_status(raised) if raised else None,
                events=tuple(_events(span, wanted)),
            )
        )


def read_attributes(holder: Mapping[str, Any], wanted: Wanted) -> Attributes:
    named: dict[str, Any] = {}
    families: dict[str, Any] = {}
    for attribute in objects(holder, "attributes"):
        key = attribute.get("key")
        if isinstance(key, str):
            by_name = key in wanted.names
            if not by_name and not key.startswith(wanted.prefixes):
                continue
            if (value := value_of(attribute.get("value"))) is not None:
                (named if by_name else families)[key] = value
    return Attributes(named, families)


def value_of(value: object, depth: int = 0) -> Any:
    if not isinstance(value, dict) or depth > _NESTING:
        return None
    if "stringValue" in value:
        return str(value["stringValue"])
    if "intValue" in value:
        return int_of(value["intValue"])
    if "doubleValue" in value:
        return _float(value["doubleValue"])
    if "boolValue" in value:
        return bool(value["boolValue"])
    if "arrayValue" in value:
        return [value_of(item, depth + 1) for item in objects(object_of(value, "arrayValue"), "values")]
    if "kvlistValue" in value:
        items = objects(object_of(value, "kvlistValue"), "values")
        return {str(item.get("key")): value_of(item.get("value"), depth + 1) for item in items}
    return None


def objects(holder: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = holder.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def object_of(holder: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = holder.get(key)
    return found if isinstance(found, dict) else {}


def id_of(value: object, digits: int) -> str | None:
    text = value.lower() if isinstance(value, str) else ""
    return text if len(text) == digits and _HEX.issuperset(text) and text.strip("0") else None


def int_of(value: object) -> int | None:
    """None unless it is a whole number of at most 64 bits, in digits or as text."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    try:
        number = int(value)
    except ValueError:
        return None
    return number if -(2**63) <= number < 2**64 else None


def _float(value: object) -> float | None:
    if not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _events(span: Mapping[str, Any], wanted: Wanted) -> Iterator[Event]:
    for event in objects(span, "events"):
        name = event.get("name")
        if isinstance(name, str) and (of_event := wanted.of_event(name)) is not None:
            yield Event(name, int_of(event.get("timeUnixNano")) or 0, read_attributes(event, of_event))


def _exception(span: Mapping[str, Any]) -> dict[str, Any]:
    for event in reversed(objects(span, "events")):
        if event.get("name") == "exception":
            told = (a for a in objects(event, "attributes") if a.get("key") in EXCEPTION)
            return {a["key"]: value_of(a.get("value")) for a in told}
    return {}
