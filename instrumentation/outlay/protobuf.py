"""Messages in protobuf's wire format, as far as OTLP asks for them: written, and taken apart into their fields.

A message is its fields, one after another; what is nested is its length and its bytes. The library makes an object of
every attribute and of every value, and takes five times as long for a span as writing it down does (ADR 8).

Source: protobuf.dev/programming-guides/encoding, and opentelemetry-proto 1.45.2 `common/v1/common_pb2.pyi`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

Scalar = str | bool | int | float
Value = Scalar | Sequence[Scalar]
"""What an attribute holds."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
"""Types of fields."""
_TEXT: Final = b"\x0a"
_BOOL: Final = b"\x10"
_INT: Final = b"\x18"
_DOUBLE: Final = struct.Struct("<cd")
_DOUBLE_TAG: Final = b"\x21"
_ARRAY: Final = b"\x2a"
"""Tags of `AnyValue`."""
_UINT64: Final = 2**64


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first. Raises `OverflowError` for what is no int64."""
    if not -(2**63) <= number < 2**63:
        raise OverflowError(f"{number} does not fit into 64 bits")
    rest = number % _UINT64
    found = bytearray()
    while rest > 0x7F:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    found.append(rest)
    return bytes(found)


_size: Final = lru_cache(maxsize=1024)(varint)


@lru_cache(maxsize=64)
def _tag(field: int, kind: int) -> bytes:
    return varint(field << 3 | kind)


def nested(field: int, content: bytes) -> bytes:
    """A message, or bytes."""
    return _tag(field, _LENGTH) + _size(len(content)) + content


def text(field: int, content: str) -> bytes:
    return nested(field, _utf8(content))


def whole(field: int, number: int) -> bytes:
    """An enumeration's number, or a truth."""
    return _tag(field, _VARINT) + varint(number)


def fixed64(field: int, number: int) -> bytes:
    """A time in nanoseconds, or a count."""
    return _tag(field, _FIXED64) + number.to_bytes(8, "little")


def fixed32(field: int, number: int) -> bytes:
    return _tag(field, _FIXED32) + number.to_bytes(4, "little")


def attributes(field: int, said: Mapping[str, Value]) -> bytes:
    """A `KeyValue` for each, in their order. A character that is none becomes a question mark."""
    pieces: list[bytes] = []
    for name, value in said.items():
        if isinstance(value, str):  # most are
            content = _utf8(value)
            pieces.append(_before_text(field, name, len(content)))
        else:
            content = _any_value(value)
            pieces.append(_before_value(field, name, len(content)))
        pieces.append(content)
    return b"".join(pieces)


@lru_cache(maxsize=4096)
def _before_text(field: int, name: str, size: int) -> bytes:
    """All that stands before a text of that many bytes. Attributes are few, and their lengths come again."""
    head = _TEXT + varint(size)
    return _before_value(field, name, len(head) + size) + head


@lru_cache(maxsize=4096)
def _before_value(field: int, name: str, size: int) -> bytes:
    head = text(1, name) + _tag(2, _LENGTH) + varint(size)
    return _tag(field, _LENGTH) + varint(len(head) + size) + head


def _any_value(value: Value) -> bytes:
    if isinstance(value, str):
        return nested(1, _utf8(value))
    if isinstance(value, bool):
        return _BOOL + varint(value)
    if isinstance(value, int):
        return _INT + varint(value)
    if isinstance(value, float):
        return _DOUBLE.pack(_DOUBLE_TAG, value)
    content = b"".join([nested(1, _any_value(each)) for each in value])
    return _ARRAY + _size(len(content)) + content


def _utf8(content: str) -> bytes:
    try:
        return content.encode()
    except UnicodeEncodeError:
        return content.encode("utf-8", "replace")


def parts(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The number and the content of each field of a message that has only nested ones."""
    place = 0
    while place < len(message):
        tag, place = _read_varint(message, place)
        size, place = _read_varint(message, place)
        yield tag >> 3, message[place : place + size]
        place += size


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    """The number at a place, and the place behind it."""
    number = shift = 0
    while True:
        byte = message[place]
        number |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return number, place
