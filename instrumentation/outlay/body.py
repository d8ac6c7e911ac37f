"""A payload read from the bytes of a body, for responses the application takes raw and may never have decoded.

Server-sent events, JSON, JSON by the line, and the binary event streams of AWS, in pieces of any size.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

from outlay.providers.eventstream import decode_events

MOST_BYTES: Final = 32 * 1024 * 1024
"""A JSON body larger than this is not kept: its call goes without usage."""
_DONE: Final = "[DONE]"
_LINES: Final = frozenset({"application/stream+json", "application/x-ndjson", "application/jsonl"})
"""A JSON document a line: Cohere's first API, Ollama's own."""
_LEAST_FRAME: Final = 16
"""Bytes of an AWS frame without headers or payload."""


class Body:
    """Takes decoded bytes in pieces of any size; gives JSON values: each event of an event stream, or the whole."""

    def __init__(self, content_type: str) -> None:
        kind = content_type.partition(";")[0].strip().lower()
        self._is_framed = kind == "application/vnd.amazon.eventstream"
        self._is_lines = kind in _LINES
        self.is_events = self._is_framed or self._is_lines or kind == "text/event-stream"
        self.is_json = kind.endswith("json")
        self._kept = bytearray()
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[Any]:
        """What the piece completes."""
        if not (self.is_events or self.is_json) or len(self._kept) > MOST_BYTES:
            return
        self._kept += piece
        if self._is_framed:
            yield from self._frames()
        elif self.is_events and b"\n" in piece:
            *lines, rest = bytes(self._kept).split(b"\n")
            self._kept = bytearray(rest)
            for line in lines:
                yield from self._line(line.decode("utf-8", "replace").removesuffix("\r"))

    def finish(self) -> Iterator[Any]:
        """What was left incomplete by the last piece and can still be read."""
        if self._is_framed:
            return
        if self.is_events:
            yield from self._line(self._kept.decode("utf-8", "replace"))
            yield from self._line("")
        elif self._kept and len(self._kept) <= MOST_BYTES:
            yield from _decoded(bytes(self._kept))

    def _frames(self) -> Iterator[Any]:
        """The events of the frames that are whole. What is no frame is not read any further."""
        while len(kept := self._kept) >= 4:
            length = int.from_bytes(kept[:4], "big")
            if length < _LEAST_FRAME:
                self._is_framed = self.is_events = False
            if length < _LEAST_FRAME or length > len(kept):
                return
            frame = bytes(kept[:length])
            del kept[:length]
            yield from decode_events(frame)

    def _line(self, line: str) -> Iterator[Any]:
        if self._is_lines:
            yield from _decoded(line) if line else ()
        elif line.startswith("data:"):
            self._data.append(line[5:].removeprefix(" "))
        elif not line and self._data:
            data = "\n".join(self._data)
            self._data.clear()
            if not data.startswith(_DONE):
                yield from _decoded(data)


class Decoder(Protocol):
    """What undoes a content encoding: httpx's gives bytes, httpx2's gives them in pieces."""

    def decode(self, data: bytes, /) -> bytes | Iterable[bytes]: ...
    def flush(self) -> bytes | Iterable[bytes]: ...


class EncodedBody:
    """A body in pieces as they were sent, compressed as may be. One that cannot be undone is read no further."""

    def __init__(self, body: Body, decoder: Decoder) -> None:
        self._body = body
        self._decoder: Decoder | None = decoder

    def feed(self, piece: bytes) -> Iterator[Any]:
        decoder = self._decoder
        for part in () if decoder is None else self._undone(lambda: decoder.decode(piece)):
            yield from self._body.feed(part)

    def finish(self) -> Iterator[Any]:
        decoder = self._decoder
        for part in () if decoder is None else self._undone(decoder.flush):
            yield from self._body.feed(part)
        yield from self._body.finish()

    def _undone(self, undo: Callable[[], bytes | Iterable[bytes]]) -> list[bytes]:
        try:
            parts = undo()
            return [parts] if isinstance(parts, bytes) else list(parts)
        except Exception:  # noqa: BLE001 - a damaged body: codecs share no error, and the application has the bytes
            self._decoder = None
            return []


def _decoded(text: str | bytes) -> Iterator[Any]:
    try:
        yield json.loads(text)
    except ValueError:
        return
