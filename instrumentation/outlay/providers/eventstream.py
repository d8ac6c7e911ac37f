"""AWS event streams: from the bytes of a streamed Bedrock response to its events.

Frames are told apart by their lengths; checksums are left to whoever reads the response for the application. Needed
where the raw body is at hand (stored responses, tests): the SDKs decode the frames they read themselves.

Source: the `application/vnd.amazon.eventstream` encoding of the AWS SDKs.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from struct import Struct
from typing import Any, Final

_PRELUDE: Final = Struct(">III")
_TRAILER: Final = 4
_STRING: Final = 7
_LENGTHS: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type; types 6 and 7 say their length themselves."""


def decode_events(body: bytes) -> Iterator[Mapping[str, Any]]:
    """The events of a body, as boto3 hands them over: `{"metadata": {...}}`; of invoke_model, what its chunks hold.

    A body that was cut ends with the last whole frame. Frames that hold no JSON object are left out.
    """
    at = 0
    while at + _PRELUDE.size <= len(body):
        length, headers_length, _ = _PRELUDE.unpack_from(body, at)
        if length < _PRELUDE.size + headers_length + _TRAILER or at + length > len(body):
            return
        start = at + _PRELUDE.size
        headers = _headers(body[start : start + headers_length])
        payload = body[start + headers_length : at + length - _TRAILER]
        at += length
        event = _event(headers.get(":event-type") or headers.get(":exception-type") or "", payload)
        if event is not None:
            yield event


def _event(kind: str, payload: bytes) -> Mapping[str, Any] | None:
    try:
        content = json.loads(payload)
        if kind == "chunk":
            content = json.loads(base64.b64decode(content["bytes"]))
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(content, dict):
        return None
    return content if kind == "chunk" else {kind: content}


def _headers(raw: bytes) -> dict[str, str]:
    """The headers that are strings, which are all a reader needs."""
    found: dict[str, str] = {}
    at = 0
    while at < len(raw):
        name_at, value_at = at + 1, at + 2 + raw[at]
        if value_at > len(raw):
            break
        name, kind = raw[name_at : value_at - 1], raw[value_at - 1]
        if kind in _LENGTHS:
            at = value_at + _LENGTHS[kind]
            continue
        start = value_at + 2
        at = start + int.from_bytes(raw[value_at:start], "big")
        if kind == _STRING:
            found[name.decode(errors="replace")] = raw[start:at].decode(errors="replace")
    return found
