"""Langfuse's SDK: observations as `langfuse.observation.*`.

A generation's `usage_details` is either the provider's own usage object or Langfuse's own: counts beside one another,
`input` without what `input_*` counts, `output` without what `output_*` counts. No provider is named, no response id:
the model and the usage tell whose call it was. One of which neither is said is a function that was declared to be one:
what it calls is told of by others. Source: langfuse 5.0.4 `_client/attributes.py`, `openai.py`,
`langchain/CallbackHandler.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from outlay.model import Terms
from outlay.providers.base import Reading
from outlay.providers.tiers import served_terms

from outlay_collector.billing import Report
from outlay_collector.dialects.base import SHARED_KEYS, count, http_status, text
from outlay_collector.dialects.carried import json_object, read_usage_object
from outlay_collector.dialects.counts import Counts, reading_of
from outlay_collector.dialects.makers import provider_of_model
from outlay_collector.dialects.report import Said, report_of
from outlay_collector.otlp.span import Span

_O: Final = "langfuse.observation."
_TYPE: Final = f"{_O}type"
_MODEL: Final = f"{_O}model.name"
_PARAMETERS: Final = f"{_O}model.parameters"
_USAGE: Final = f"{_O}usage_details"
_COST: Final = f"{_O}cost_details"
_MESSAGE: Final = f"{_O}status_message"
_CALLS: Final = {"generation": "chat", "embedding": "embeddings"}
_STEPS: Final = {
    **dict.fromkeys(("span", "chain", "evaluator"), "chain"),
    **dict.fromkeys(("agent",), "agent"),
    **dict.fromkeys(("tool", "guardrail"), "tool"),
    **dict.fromkeys(("retriever",), "retrieval"),
}
_THEIRS: Final = frozenset(
    {"prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "promptTokenCount", "prompt_token_count"}
)
"""Keys of a provider's own usage object: none of them is Langfuse's."""
_KINDS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("cache_read", ("input_cached_tokens", "input_cache_read", "cache_read_input_tokens", "input_cached")),
    (
        "cache_write",
        ("input_cache_creation", "input_cache_write", "cache_creation_input_tokens", "input_cache_creation_tokens"),
    ),
    ("reasoning", ("output_reasoning", "output_reasoning_tokens")),
    ("input_audio", ("input_audio", "input_audio_tokens")),
    ("output_audio", ("output_audio", "output_audio_tokens")),
)
_STATUS: Final = re.compile(r"Error code: ([45]\d\d)\b")
"""How the SDKs of OpenAI and Anthropic begin the message of an error the provider answered with."""


class Langfuse:
    """`langfuse.observation.*`."""

    name = "langfuse"
    note = "Langfuse's SDK 5.0.4; names neither provider nor response: the model and the usage tell"
    keys = SHARED_KEYS | {_TYPE, _MODEL, _PARAMETERS, _USAGE, _COST, _MESSAGE, "error.type"}
    prefixes: tuple[str, ...] = ()

    def claims(self, scope_name: str, name: str, names: frozenset[str]) -> bool:
        return _TYPE in names

    def read(self, span: Span) -> Report | None:
        get = span.attributes.named.get
        operation = _CALLS.get((text(get(_TYPE)) or "").lower())
        if operation is None:
            return None
        usage, model = json_object(get(_USAGE)), text(get(_MODEL))
        if not (usage or model or get(_COST)):
            return None
        provider = provider_of_model(model, usage) or _maker(span)
        asked = json_object(get(_PARAMETERS))
        reading = _reading(usage, provider, model, operation)
        if reading.terms == Terms():
            reading = _with_tier(reading, asked.get("service_tier"))
        status = _STATUS.match(text(get(_MESSAGE)) or "")
        return report_of(
            span,
            Said(
                provider=provider,
                operation=operation,
                model_served=model,
                streamed=asked.get("stream") is True,
            ),
            dialect=self.name,
            reading=reading,
            status=http_status(status[1]) if status else None,
            stated_cost_usd=json_object(get(_COST)).get("total"),
        )

    def step(self, span: Span) -> str | None:
        kind = (text(span.attributes.named.get(_TYPE)) or "").lower()
        return "chain" if kind in _CALLS else _STEPS.get(kind)


def _maker(span: Span) -> str:
    """Langfuse's wrapper of the OpenAI SDK names what it makes after it, unless somebody renames it."""
    return "openai" if span.name.startswith("OpenAI-") else "unknown"


def _with_tier(reading: Reading, tier: object) -> Reading:
    return Reading(
        usage=reading.usage,
        usage_raw=reading.usage_raw,
        reason_unread=reading.reason_unread,
        terms=served_terms(None, tier),
        provider_cost_usd=reading.provider_cost_usd,
    )


def _reading(usage: Mapping[str, Any], provider: str, model: str | None, operation: str) -> Reading:
    if not usage:
        return Reading()
    if not _THEIRS.isdisjoint(usage):
        return read_usage_object(provider, model, usage)
    parts = {unit: _first(usage, names) for unit, names in _KINDS}
    into, made, total = count(usage.get("input")), count(usage.get("output")), count(usage.get("total"))
    if into is not None and total != into + (made or 0):
        into += sum(parts[unit] or 0 for unit in ("cache_read", "cache_write", "input_audio"))
    if made is not None and total != (count(usage.get("input")) or 0) + made:
        made += sum(parts[unit] or 0 for unit in ("reasoning", "output_audio"))
    counts = Counts(input=into, output=made, **parts)
    return reading_of(counts, usage, has_output=operation == "chat")


def _first(usage: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    return next((number for name in names if (number := count(usage.get(name))) is not None), None)
