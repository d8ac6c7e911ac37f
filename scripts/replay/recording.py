"""A recorded exchange of a provider, and what Outlay reads in its body without any SDK."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from outlay.providers.base import Reading
from outlay.providers.eventstream import decode_events
from outlay.providers.registry import reader_for
from outlay.providers.routes import is_fetched
from outlay.providers.sse import decode_sse

_DONE: Final = ("completed", "incomplete", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One line of a recording; `raw` is the line as it stands there."""

    raw: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.raw["id"])

    @property
    def provider(self) -> str:
        return str(self.raw["provider"])

    @property
    def api(self) -> str:
        return str(self.raw["api"])

    @property
    def method(self) -> str:
        return str(self.raw["request"]["method"])

    @property
    def path(self) -> str:
        """Without its query."""
        return urlsplit(str(self.raw["request"]["path"])).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.raw["request"]["path"]).query))

    @property
    def body(self) -> Any:
        """What was sent: decoded JSON; None where there was nothing, a string where it is of another kind."""
        return self.raw["request"]["body"]

    @property
    def status(self) -> int:
        return int(self.raw["response"]["status"])

    @property
    def is_streaming(self) -> bool:
        return bool(self.raw["streaming"])

    @property
    def features(self) -> frozenset[str]:
        return frozenset(self.raw["features"])

    @property
    def usage(self) -> Any:
        """The provider's own usage; of a stream, what all its events say together. None where it sent none."""
        return self.raw.get("usage_merged") or self.raw["usage_raw"]

    def events(self) -> Iterator[Mapping[str, Any]]:
        """The decoded events of a streamed answer."""
        body = self.raw["response"]["body"]
        match self.raw.get("stream_format"):
            case "aws-eventstream":
                yield from decode_events(base64.b64decode(body))
            case "ndjson":
                yield from (json.loads(line) for line in body.splitlines() if line.strip())
            case _:
                yield from decode_sse(body)

    def is_call(self) -> bool:
        """Whether Outlay takes the request for one that is billed."""
        body = self.body if isinstance(self.body, Mapping) else {}
        reader = reader_for(self.provider)
        return self.method == "POST" and reader.read_request(self.raw["request"]["path"], body) is not None

    def fetched(self) -> str | None:
        """The id of the answer it fetches, where that was left for later and is done by now; else None."""
        if self.method != "GET" or not is_fetched(self.path):
            return None
        answer = self.raw["response"]["body"]
        if self.is_streaming:
            *_, last = self.events()
            answer = last.get("response")
        if not isinstance(answer, Mapping) or answer.get("status") not in _DONE:
            return None
        is_left = answer.get("background") is True or answer.get("object") == "video"
        return str(answer["id"]) if is_left else None

    def reading(self) -> Reading:
        """What the reader of the provider makes of the recorded answer."""
        reader = reader_for(self.provider)
        body = self.body if isinstance(self.body, Mapping) else {}
        request = reader.read_request(self.raw["request"]["path"], body)
        answer = self.raw["response"]["body"]
        if not (self.is_streaming and isinstance(answer, str)):
            return reader.read_response(request, {} if isinstance(answer, str) else answer)
        stream = reader.start_stream(request)
        for event in self.events():
            stream.feed(event)
        return stream.reading()


def exchanges(folder: Path) -> Iterator[Exchange]:
    """Every exchange of a folder of gzip JSON lines, those of a provider together."""
    for file in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield Exchange(json.loads(line))
