"""What the tests of readers share: a way to read a body, and the recorded exchanges."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from outlay.model import Usage
from outlay.providers.base import Reading, StreamReading
from outlay.providers.registry import reader_for

Read = Callable[..., Reading]
Fold = Callable[..., StreamReading]


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
def quantities(read: Read) -> Callable[..., dict[str, Any]]:
    """The buckets of a response that must be readable, zeros left out."""

    def found(provider: str, body: Mapping[str, Any], asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
        reading = read(provider, body, asked)
        assert reading.usage is not None, reading.reason_unread
        return nonzero(reading.usage)

    return found


def nonzero(usage: Usage) -> dict[str, Any]:
    return {unit: quantity for unit, quantity in usage.quantities.items() if quantity}


@pytest.fixture(scope="session")
def coverage_script() -> ModuleType:
    """The script that reads recordings, so that its tests and its figures are of the same code."""
    file = Path(__file__).parents[2] / "scripts" / "recordings_coverage.py"
    spec = importlib.util.spec_from_file_location("recordings_coverage", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
