"""Vercel's AI SDK: an outer span for what the application asked, an inner one for each request to a provider.

Only the inner one (`ai.generateText.doGenerate` and its like) is a call: the outer repeats the sum of them. Counts are
`ai.usage.*`; until version 6, which breaks the input down, they leave Anthropic's and Bedrock's cache out, and the
cache stands in the provider's metadata alone. Version 7 keeps to the conventions, in a scope `gen_ai`, unless it is
told to write as 6 did. Seen of `ai` 4.3.19, 5.0.277, 6.0.326 and 7.0.173.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from outlay.providers.base import Reading
from outlay.providers.foreign import mapping

from outlay_collector.billing import Report
from outlay_collector.dialects.base import SHARED_KEYS, count, first, milliseconds, text
from outlay_collector.dialects.carried import json_object, read_usage_object
from outlay_collector.dialects.counts import Counts, reading_of
from outlay_collector.dialects.genai import finish_reasons
from outlay_collector.dialects.makers import provider_by_ai_sdk
from outlay_collector.dialects.report import Said, report_of
from outlay_collector.dialects.vocabulary import COUNTS as GENAI_COUNTS
from outlay_collector.otlp.span import Span

_OPERATION: Final = "ai.operationId"
_PROVIDER: Final = ("ai.model.provider", "gen_ai.system")
_ASKED: Final = ("ai.model.id", "gen_ai.request.model")
_SERVED: Final = ("ai.response.model", "gen_ai.response.model")
_ID: Final = ("ai.response.id", "gen_ai.response.id")
_FINISH: Final = ("gen_ai.response.finish_reasons", "ai.response.finishReason")
_FIRST_CHUNK_MS: Final = "ai.response.msToFirstChunk"
_METADATA: Final = "ai.response.providerMetadata"
_U: Final = "ai.usage."
_COUNTS: Final[dict[str, tuple[str, ...]]] = {
    "input": (f"{_U}inputTokens", f"{_U}promptTokens", f"{_U}tokens", *GENAI_COUNTS["input"]),
    "output": (f"{_U}outputTokens", f"{_U}completionTokens", *GENAI_COUNTS["output"]),
    "cache_read": (f"{_U}inputTokenDetails.cacheReadTokens", f"{_U}cachedInputTokens"),
    "cache_write": (f"{_U}inputTokenDetails.cacheWriteTokens",),
    "reasoning": (f"{_U}outputTokenDetails.reasoningTokens", f"{_U}reasoningTokens"),
}
_BROKEN_DOWN: Final = f"{_U}inputTokenDetails.noCacheTokens"
_CALLS: Final = {
    ".doGenerate": "chat",
    ".doStream": "chat",
    ".doEmbed": "embeddings",
    ".doRerank": "rerank",
}
_LEAVE_CACHE_OUT: Final = frozenset({"anthropic", "bedrock"})


class Vercel:
    """`ai.*`, with `gen_ai.*` beside it."""

    name = "vercel"
    note = "Vercel's AI SDK 4.3 to 7.0; inner spans are calls; exclusive for Anthropic and Bedrock until 6"
    keys = SHARED_KEYS | {
        *(_OPERATION, *_PROVIDER, *_ASKED, *_SERVED, *_ID, *_FINISH, _FIRST_CHUNK_MS, _METADATA, _BROKEN_DOWN),
        *(name for names in _COUNTS.values() for name in names),
        "error.type",
    }
    prefixes: tuple[str, ...] = ()

    def claims(self, scope_name: str, name: str, names: frozenset[str]) -> bool:
        return _OPERATION in names

    def read(self, span: Span) -> Report | None:
        attributes = span.attributes.named
        said = text(attributes.get(_OPERATION)) or ""
        operation = next((name for ending, name in _CALLS.items() if said.endswith(ending)), None)
        if operation is None:
            return None
        asked = text(first(attributes, _ASKED))
        provider = provider_by_ai_sdk(text(first(attributes, _PROVIDER)) or "unknown", asked)
        metadata = json_object(attributes.get(_METADATA))
        reached_ms = attributes.get(_FIRST_CHUNK_MS)
        return report_of(
            span,
            Said(
                provider=provider,
                operation=operation,
                model_requested=asked,
                model_served=text(first(attributes, _SERVED)),
                response_id=_response_id(attributes, metadata),
                streamed=said.endswith(".doStream"),
                time_to_first_chunk_ms=milliseconds(
                    reached_ms / 1000 if isinstance(reached_ms, (int, float)) else None
                ),
                finish_reasons=finish_reasons(first(attributes, _FINISH)),
            ),
            dialect=self.name,
            reading=_reading(span, provider, operation, metadata),
            stated_cost_usd=mapping(metadata.get("gateway")).get("cost"),
            provider_cost=True,
        )

    def step(self, span: Span) -> str | None:
        said = text(span.attributes.named.get(_OPERATION)) or ""
        return "tool" if said == "ai.toolCall" else "chain"


def _response_id(attributes: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
    """The provider's where it is known: the SDK makes ids up (`aitxt-...`) where an answer has none."""
    said = text(mapping(metadata.get("openai")).get("responseId")) or text(first(attributes, _ID))
    return None if said is not None and said.startswith("aitxt-") else said


def _reading(span: Span, provider: str, operation: str, metadata: Mapping[str, Any]) -> Reading:
    attributes = span.attributes.named
    counts = {unit: count(first(attributes, names)) for unit, names in _COUNTS.items()}
    for unit, value in _from_metadata(metadata).items():
        counts[unit] = value if counts.get(unit) is None else counts[unit]
    exclusive = provider in _LEAVE_CACHE_OUT and _BROKEN_DOWN not in attributes
    raw = {name: value for names in _COUNTS.values() for name in names if (value := count(attributes.get(name)))}
    reading = reading_of(Counts(**counts), raw, exclusive=exclusive, has_output=operation == "chat")
    model = text(first(attributes, (*_SERVED, *_ASKED)))
    theirs = read_usage_object(provider, model, _usage_object(metadata))
    return reading if theirs.usage is None else theirs


def _usage_object(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """The provider's own, where the SDK hands it on. It is of this one request, and whole: the span's counts leave out
    the cache and thoughts (version 5), and the prompts of tools (6)."""
    google = mapping(metadata.get("google")) or mapping(metadata.get("vertex"))
    return mapping(mapping(metadata.get("anthropic")).get("usage")) or mapping(google.get("usageMetadata"))


def _from_metadata(metadata: Mapping[str, Any]) -> dict[str, int | None]:
    anthropic, openai = mapping(metadata.get("anthropic")), mapping(metadata.get("openai"))
    bedrock = mapping(mapping(metadata.get("bedrock")).get("usage"))
    read = (
        anthropic.get("cacheReadInputTokens"),
        openai.get("cachedPromptTokens"),
        bedrock.get("cacheReadInputTokens"),
    )
    written = (anthropic.get("cacheCreationInputTokens"), bedrock.get("cacheWriteInputTokens"))
    return {
        "cache_read": next((found for value in read if (found := count(value)) is not None), None),
        "cache_write": next((found for value in written if (found := count(value)) is not None), None),
        "reasoning": count(openai.get("reasoningTokens")),
    }
