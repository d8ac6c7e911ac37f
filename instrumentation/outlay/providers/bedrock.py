"""Bedrock: Converse and its stream, and the bodies invoke_model passes through for Amazon's and Meta's models.

Anthropic's, Cohere's and Mistral's models answer invoke_model in their makers' formats, which are read elsewhere. A
streamed body ends with Bedrock's own count, `amazon-bedrock-invocationMetrics`, whatever the format.

Source: the Bedrock Runtime API's `TokenUsage`, and the recordings named below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from outlay.model import Usage
from outlay.providers.base import Reading
from outlay.providers.counts import Contradiction, attempt, count, remainder, usage_of
from outlay.providers.foreign import NOTHING, first_text, has, mapping, mappings, text, texts
from outlay.providers.tiers import served_terms
from outlay.providers.wire import Asked, Body, WireFormat

METRICS: Final = "amazon-bedrock-invocationMetrics"
_READ: Final = ("cacheReadInputTokens", "cacheReadInputTokenCount")
_WRITTEN: Final = ("cacheWriteInputTokens", "cacheWriteInputTokenCount")
_LIFETIMES: Final = {"5m": "cache_write_5m", "1h": "cache_write_1h"}
_REST_INFERRED: Final = "cache writes beyond the breakdown by lifetime are taken to be of five minutes"


def _fits_converse(body: Body) -> bool:
    return has(mapping(body.get("usage")), "inputTokens") or ("output" in body and "stopReason" in body)


def _read_converse(body: Body, asked: Asked) -> Reading:
    return _converse(mapping(body.get("usage")), body.get("stopReason"), body, asked)


def _converse(raw: Mapping[str, Any], stop_reason: object, body: Body, asked: Asked) -> Reading:
    usage, reason = attempt(lambda: _read_usage(raw))
    return Reading(
        finish_reasons=texts(stop_reason),
        usage=usage,
        usage_raw=raw or None,
        reason_unread=reason,
        terms=served_terms(asked.request, mapping(body.get("serviceTier")).get("type")),
    )


def _read_usage(raw: Mapping[str, Any]) -> Usage | None:
    """Buckets of a Converse or Nova usage: what was cached stands beside `inputTokens`, not in it.

    The total shows it: 4 in, 12,345 read and 50 out are a total of 12,399. Nova's invoke_model leaves the total out.
    """
    given, made = count(raw, "inputTokens", "inputTokenCount"), count(raw, "outputTokens", "outputTokenCount")
    if given is None and made is None:
        return None
    if given is None or made is None:
        raise Contradiction(f"{'inputTokens' if given is None else 'outputTokens'} is missing")
    read, written, total = count(raw, *_READ), count(raw, *_WRITTEN), count(raw, "totalTokens")
    parts = {"inputTokens": given, "outputTokens": made, _READ[0]: read, _WRITTEN[0]: written}
    if total is not None and total != sum(n or 0 for n in parts.values()):
        listed = " + ".join(f"{field} {n}" for field, n in parts.items() if n is not None)
        raise Contradiction(f"totalTokens {total} is not {listed}")
    writes, inferred = _writes(raw, written)
    return usage_of({"input": given, "cache_read": read, **writes, "output": made}, inferred)


def _writes(raw: Mapping[str, Any], written: int | None) -> tuple[dict[str, int], str | None]:
    """Cache writes by lifetime, as `cacheDetails` splits them (bedrock.converse.333a29b27c25)."""
    found: dict[str, int] = {}
    for entry in mappings(raw.get("cacheDetails")):
        unit = _LIFETIMES.get(text(entry.get("ttl")) or "", "cache_write_5m")
        found[unit] = found.get(unit, 0) + (count(entry, "inputTokens") or 0)
    if written is None:
        return found, None
    rest = remainder(_WRITTEN[0], written, found)
    found["cache_write_5m"] = found.get("cache_write_5m", 0) + rest
    return found, _REST_INFERRED if rest else None


def _fits_titan(body: Body) -> bool:
    return has(body, "inputTextTokenCount")


def _read_titan(body: Body, asked: Asked) -> Reading:
    """Titan: text (bedrock.invoke_model.20f896b940da), or vectors, which have no results to count."""
    results = list(mappings(body.get("results")))
    counted = [{"tokenCount": result["tokenCount"]} for result in results if has(result, "tokenCount")]
    raw = {"inputTextTokenCount": body["inputTextTokenCount"], **({"results": counted} if results else {})}

    def usage() -> Usage:
        made = sum(count(result, "tokenCount") or 0 for result in counted)
        return usage_of({"input": count(raw, "inputTextTokenCount"), "output": made if results else None})

    return _plain(raw, usage, texts(*(result.get("completionReason") for result in results)), asked)


def _fits_llama(body: Body) -> bool:
    return "generation" in body or "prompt_token_count" in body


def _read_llama(body: Body, asked: Asked) -> Reading:
    raw = {field: body[field] for field in ("prompt_token_count", "generation_token_count") if field in body}

    def usage() -> Usage | None:
        given, made = count(raw, "prompt_token_count"), count(raw, "generation_token_count")
        return usage_of({"input": given, "output": made}) if raw else None

    return _plain(raw, usage, texts(body.get("stop_reason")), asked)


def _plain(
    raw: Mapping[str, Any], read: Callable[[], Usage | None], finish_reasons: tuple[str, ...], asked: Asked
) -> Reading:
    usage, reason = attempt(read)
    return Reading(
        finish_reasons=finish_reasons,
        usage=usage,
        usage_raw=raw or None,
        reason_unread=reason,
        terms=served_terms(asked.request),
    )


def fits_event(event: Body) -> bool:
    return any(
        kind in event
        for kind in ("messageStart", "contentBlockStart", "contentBlockDelta", "messageStop", "metadata", METRICS)
    )


class ConverseStream:
    """Folds events of ConverseStream, and of invoke_model's stream for Nova, Titan and Llama.

    Converse and Nova count in `metadata.usage`. Titan and Llama count in their last chunk; Bedrock's own metrics stand
    in it too, and are what remains where a model counts nothing.
    """

    __slots__ = ("_asked", "_metadata", "_metrics", "_stop_reason", "_usage", "finished", "output_characters")

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._usage: Mapping[str, Any] = NOTHING
        self._metrics: Mapping[str, Any] = NOTHING
        self._metadata: Body = NOTHING
        self._stop_reason: object = None
        self.finished = False
        self.output_characters = 0

    def feed(self, event: Body) -> None:
        delta = event.get("contentBlockDelta")
        if delta is not None:
            block = mapping(mapping(delta).get("delta"))
            produced = block.get("text") or mapping(block.get("toolUse")).get("input")
            if type(produced) is str:
                self.output_characters += len(produced)
            elif reasoning := text(mapping(block.get("reasoningContent")).get("text")):
                self.output_characters += len(reasoning)
            return
        self.output_characters += len(first_text(event, "outputText", "generation") or "")
        if stop := mapping(event.get("messageStop")).get("stopReason"):
            self._stop_reason, self.finished = stop, True
        if metadata := mapping(event.get("metadata")):
            self._metadata, self._usage, self.finished = metadata, mapping(metadata.get("usage")), True
        if stop := first_text(event, "completionReason", "stop_reason"):
            self._stop_reason, self.finished = stop, True
        if metrics := mapping(event.get(METRICS)):
            self._metrics = metrics

    @property
    def counted(self) -> bool:
        return bool(self._usage or self._metrics)

    def reading(self) -> Reading:
        return _converse(self._usage or self._metrics, self._stop_reason, self._metadata, self._asked)


CONVERSE = WireFormat("bedrock.converse", "bedrock", _fits_converse, _read_converse, fits_event, ConverseStream)
TITAN = WireFormat("bedrock.titan", "bedrock", _fits_titan, _read_titan, _fits_titan, ConverseStream)
LLAMA = WireFormat("bedrock.llama", "bedrock", _fits_llama, _read_llama, _fits_llama, ConverseStream)
