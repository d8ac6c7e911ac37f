"""Spans out of a protobuf export request.

Parsing costs little; touching attributes from Python is what costs. So those of spans are left as the bytes they came
as, which on the wire is no different, and bytes that a body repeats, as it does most, are read once: 21 us a span
instead of 26.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

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
_NO_TRACE: Final = bytes(16)
_NO_SPAN: Final = bytes(8)
_SHORT: Final = 0x80
"""A length below it is one byte."""
_KEY: Final = 0x0A
_VALUE: Final = 0x12
_TEXT: Final = 0x0A
_WHOLE: Final = 0x18
_DOUBLE: Final = 0x21
"""The byte that begins a KeyValue's key, its value, and a text, a whole number or one with a fraction in that."""
_unpack_double: Final = Struct("<d").unpack_from
_SMALLEST: Final = 4
_Kind = tuple[str, bool]
"""A key, empty where it is not wanted, and whether it is wanted by name or else as one of a family."""
_Said = tuple[str, bool, Any]
"""The same and its value; None where it is not wanted, or has none."""
_UNWANTED: Final[_Said] = ("", False, None)


def _request_of_bytes() -> Any:
    """ExportTraceServiceRequest, but that the attributes of a span are bytes, a message each."""
    pool = DescriptorPool()
    for module in (common_pb2, resource_pb2, trace_pb2, trace_service_pb2):
        file = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            for field in message.field:
                if (message.name, field.name) == ("Span", "attributes"):
                    field.type = FieldDescriptorProto.TYPE_BYTES
                    field.ClearField("type_name")
        pool.Add(file)
    whole = trace_service_pb2.ExportTraceServiceRequest.DESCRIPTOR.full_name
    return GetMessageClass(pool.FindMessageTypeByName(whole))


_REQUEST: Final = _request_of_bytes()


def decode_protobuf(body: bytes, wanted: Wanted) -> Decoded:
    """Raises `BadBody` where the bytes are no ExportTraceServiceRequest."""
    decoded = Decoded()
    try:
        for resource_spans in _REQUEST.FromString(body).resource_spans:
            resource = read_attributes(resource_spans.resource.attributes, wanted)
            for scope_spans in resource_spans.scope_spans:
                origin = Origin(resource, scope_spans.scope.name, scope_spans.scope.version)
                reader = _Reader(wanted.within(origin.scope_name))
                for message in scope_spans.spans:
                    _decode_span(message, origin, reader, decoded)
    except (DecodeError, UnicodeDecodeError) as error:
        raise BadBody(f"the body is no ExportTraceServiceRequest in protobuf: {error}") from None
    return decoded


def _decode_span(message: Any, origin: Origin, reader: _Reader, decoded: Decoded) -> None:
    trace_id, span_id, parent = message.trace_id, message.span_id, message.parent_span_id
    if len(trace_id) != 16 or len(span_id) != 8 or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        decoded.reject(f"span {message.name!r}: trace_id must be 16 bytes and span_id 8, not all zero")
        return
    raised = _exception(message) if message.events else {}
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
            attributes=reader.read(message.attributes),
            exception_type=exception_type(raised) if raised else None,
            exception_status=exception_status(raised) if raised else None,
            events=tuple(reader.events(message.events)) if message.events else (),
        )
    )


class _Reader:
    """Reads the attributes of the spans of one scope; what it has read it keeps for as long as the body is at hand."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._kinds: dict[bytes, _Kind] = {}
        self._known: dict[bytes, _Said] = {}

    def read(self, attributes: Iterable[bytes]) -> Attributes:
        known = self._known
        named: dict[str, Any] = {}
        families: dict[str, Any] = {}
        for written in attributes:
            read = known.get(written)
            if read is None:
                read = known[written] = self._read(written)
            key, by_name, value = read
            if value is None:
                continue
            if by_name:
                named[key] = value
            else:
                families[key] = value
        return Attributes(named, families)

    def events(self, events: Iterable[Any]) -> Iterator[Event]:
        for event in events:
            if (wanted := self._wanted.of_event(event.name)) is not None:
                yield Event(event.name, event.time_unix_nano, read_attributes(event.attributes, wanted))

    def _read(self, written: bytes) -> _Said:
        if len(written) < _SMALLEST or written[0] != _KEY or written[1] >= _SHORT:
            attribute = KeyValue.FromString(written)
            kind = self._kind(attribute.key)
            return *kind, value_of(attribute.value) if kind[0] else None
        end = 2 + written[1]
        if (known := self._kinds.get(written[:end])) is not None:
            kind = known
        else:
            kind = self._kinds[written[:end]] = self._kind(KeyValue.FromString(written).key)
        if not kind[0]:
            return _UNWANTED
        value = _plain(written, end)
        return *kind, value_of(KeyValue.FromString(written).value) if value is None else value

    def _kind(self, key: str) -> _Kind:
        if key in self._wanted.names:
            return key, True
        return (key, False) if key.startswith(self._wanted.prefixes) else ("", False)


def _plain(written: bytes, at: int) -> str | float | None:
    """What a KeyValue says where it is a text, a number with a fraction, or a whole one that is no longer than counts
    are, from the bytes as they stand; None for any other. Its value begins at `at`. To make it a message takes twice as
    long."""
    try:
        if written[at] != _VALUE:
            return None
        size, at = written[at + 1], at + 2
        if size >= _SHORT:
            size, at = size & 0x7F | written[at] << 7, at + 1
        if at + size != len(written):
            return None
        kind, number, at = written[at], written[at + 1], at + 2
        if kind == _DOUBLE:
            return _unpack_double(written, at - 1)[0] if at + 7 == len(written) else None
        if number >= _SHORT:
            number, at = number & 0x7F | written[at] << 7, at + 1
        if kind == _TEXT:
            return written[at:].decode() if at + number == len(written) else None
        if kind != _WHOLE:
            return None
        if number >= _SHORT << 7:
            number, at = number & 0x3FFF | written[at] << 14, at + 1
    except IndexError:
        return None
    return number if at == len(written) and number < _SHORT << 14 else None


def read_attributes(attributes: Iterable[KeyValue], wanted: Wanted) -> Attributes:
    names, prefixes = wanted.names, wanted.prefixes
    named: dict[str, Any] = {}
    families: dict[str, Any] = {}
    for attribute in attributes:
        key = attribute.key
        if key in names:
            value = attribute.value
            said = value.string_value or value.int_value or value_of(value)
            if said is not None:
                named[key] = said
        elif key.startswith(prefixes) and (said := value_of(attribute.value)) is not None:
            families[key] = said
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


def _exception(message: Any) -> dict[str, str]:
    for event in reversed(message.events):
        if event.name == "exception":
            return {a.key: a.value.string_value for a in event.attributes if a.key in EXCEPTION}
    return {}
