"""What a wire format is: how to tell it, how to read it whole, how to fold it as a stream.

A provider is a name, a wire format is what a body looks like. Forty providers speak OpenAI's chat format and Bedrock
alone speaks six, so the two are kept apart: `registry` lists the formats and finds the one that fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from outlay.providers.base import Reading, Request, StreamReading
from outlay.records import record

Body = Mapping[str, Any]


@record(frozen=True, slots=True)
class Asked:
    """Who was asked, and for what. `request` is None where only the response is at hand."""

    provider: str
    request: Request | None = None

    @property
    def operation(self) -> str | None:
        return self.request.operation if self.request else None

    @property
    def model(self) -> str | None:
        return self.request.model if self.request else None


@dataclass(frozen=True, slots=True)
class WireFormat:
    """One shape of response. `fits_event` and `stream` are None where the format is never streamed."""

    name: str
    provider: str
    """Whose format it is: what a bare response is taken to come from."""
    fits: Callable[[Body], bool]
    read: Callable[[Body, Asked], Reading]
    fits_event: Callable[[Body], bool] | None = None
    stream: Callable[[Asked], StreamReading] | None = None


def unfinished(reading: Reading) -> Reading:
    """The reading of a stream that broke off: its counts are what the provider had said by then, a lower bound."""
    if reading.usage is None:
        return reading
    return replace(reading, usage=replace(reading.usage, inferred="the stream ended before its usage was final"))
