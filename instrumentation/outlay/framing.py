"""How a batch of calls stands in a file: framed, so that a torn end or a damaged middle is told from what is whole."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_HEAD: Final = struct.Struct("<4sIIIQQ")
"""Magic, CRC-32 of all that follows, bytes of the body, calls, calls kept before it, time in ns. Then four bytes a
call, and the body."""
_CHECKED: Final = struct.Struct("<IIQQ")
_MAGIC: Final = b"OLc1"
_CHECKED_FROM: Final = 8


@dataclass(frozen=True, slots=True)
class Record:
    """One batch. `slots` are those of its calls at the tally, 0 where one had none; `first` is how many calls its
    process had kept before it; `body` is an OTLP request; `end` is where the next record begins."""

    body: bytes
    slots: tuple[int, ...]
    first: int
    kept_at_ns: int
    end: int

    @property
    def calls(self) -> int:
        return len(self.slots)


def frame(body: bytes, slots: Sequence[int], first: int, kept_at_ns: int) -> bytes:
    """The bytes of one record."""
    checked = b"".join(
        (_CHECKED.pack(len(body), len(slots), first, kept_at_ns), struct.pack(f"<{len(slots)}I", *slots), body)
    )
    return _MAGIC + zlib.crc32(checked).to_bytes(4, "little") + checked


def read_record(data: bytes, at: int = 0) -> Record | None:
    """The record there, None where it is torn, damaged or none."""
    if len(data) - at < _HEAD.size:
        return None
    magic, crc, length, calls, first, kept_at_ns = _HEAD.unpack_from(data, at)
    slots_at = at + _HEAD.size
    body_at = slots_at + 4 * calls
    end = body_at + length
    if magic != _MAGIC or end > len(data) or zlib.crc32(memoryview(data)[at + _CHECKED_FROM : end]) != crc:
        return None
    return Record(data[body_at:end], struct.unpack_from(f"<{calls}I", data, slots_at), first, kept_at_ns, end)


def read_records(data: bytes) -> Iterator[Record]:
    """Those that are whole, in their order; what is not is passed over."""
    at = 0
    while at >= 0:
        record = read_record(data, at)
        if record is not None:
            yield record
            at = record.end
        else:
            at = data.find(_MAGIC, at + 1)
