"""What the tests of readers share: a way to read a body, and the recorded exchanges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from outlay.model import Usage
from outlay.providers.base import Reading, StreamReading
from outlay.providers.registry import reader_for

Read = Callable[..., Reading]
Fold = Callable[..., StreamReading]
Quantities = Callable[..., dict[str, Any]]


@pytest.fixture
def read() -> Read:
    """Reads a response of a provider; `asked` is the body of the request, `path` where it went."""

    def reading(
        provider: str, body: Mapping[str, Any], asked: Mapping[str, Any] | None = None, path: str = ""
    ) -> Reading:
        reader = reader_for(provider)
        return reader.read_response(reader.read_request(path, asked) if asked is not None else None, body)

    return reading


@pytest.fixture
def fold() -> Fold:
    """Feeds events to a stream of a provider."""

    def stream(
        provider: str, events: Iterable[Mapping[str, Any]], asked: Mapping[str, Any] | None = None
    ) -> StreamReading:
        reader = reader_for(provider)
        folding = reader.start_stream(reader.read_request("", asked) if asked is not None else None)
        for event in events:
            folding.feed(event)
        return folding

    return stream


@pytest.fixture
def quantities(read: Read) -> Quantities:
    """The buckets of a response that must be readable, zeros left out."""

    def found(provider: str, body: Mapping[str, Any], asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
        reading = read(provider, body, asked)
        assert reading.usage is not None, reading.reason_unread
        return nonzero(reading.usage)

    return found


def nonzero(usage: Usage) -> dict[str, Any]:
    return {unit: quantity for unit, quantity in usage.quantities.items() if quantity}
