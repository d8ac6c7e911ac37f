"""Whether the span of a play says what the recording says."""

from __future__ import annotations

import json
from typing import Any

from outlay.emit import usage_json
from outlay.model import Usage
from recordings_coverage import disagreement

from replay.recording import Exchange
from replay.stage import Span


def difference(exchange: Exchange, spans: list[Span], told: set[str]) -> str | None:
    """Where they differ, None where they agree.

    One span for a billed request, one for an answer that was left for later and is fetched for the first time, and none
    for another; `told` are the ids of those that were fetched, and gains this one's. Its raw usage is the object the
    recording holds, of a stream all of them together or one; its counts are those of the recorded body, read without
    any SDK, and agree with the provider's own totals.
    """
    fetched = exchange.fetched()
    expected = 1 if exchange.is_call() or (fetched is not None and fetched not in told) else 0
    if fetched is not None:
        told.add(fetched)
    if len(spans) != expected:
        return f"{len(spans)} spans instead of {expected}"
    return _of_usage(exchange, spans[0]) if spans else None


def _of_usage(exchange: Exchange, span: Span) -> str | None:
    said = json.loads(span.get("outlay.usage", "null"))
    if exchange.status >= 400:
        return None if said is None else f"a refused request has the usage {said}"
    reading = exchange.reading()
    if reading.usage is None:
        is_guess = said is not None and ("~inferred" in said or said == _in_headers(exchange))
        return None if said is None or is_guess else f"usage {said}, and the recording has none to read"
    raw = json.loads(span.get("outlay.usage.raw", "null"))
    objects = (exchange.usage, *(event["usage"] for event in exchange.raw.get("usage_events") or ()))
    if exchange.usage is not None and not any(_holds(raw, each) for each in objects):
        return f"raw usage {raw}, recorded {exchange.usage}"
    expected = usage_json(reading.usage)
    if "~inferred" not in expected and said != expected:
        return f"usage {said}, recorded {expected}"
    return disagreement(raw, _usage(said)) if said is not None and raw is not None else None


def _in_headers(exchange: Exchange) -> dict[str, int]:
    """What Bedrock's headers count, where the model's own body does not."""
    headers = exchange.raw["response"]["headers"]
    named = {"input": "x-amzn-bedrock-input-token-count", "output": "x-amzn-bedrock-output-token-count"}
    return {unit: int(headers[name]) for unit, name in named.items() if name in headers}


def _holds(raw: Any, recorded: Any) -> bool:
    """Whether a usage has every number of another; what is null or no number may be left out."""
    if isinstance(recorded, dict):
        return isinstance(raw, dict) and all(_holds(raw.get(name), value) for name, value in recorded.items())
    return raw == recorded if isinstance(recorded, int | float) else True


def _usage(said: dict[str, Any]) -> Usage:
    return Usage({unit: n for unit, n in said.items() if isinstance(n, int)})
