"""OpenInference: the attributes of Arize's instrumentations.

Its counts are totals that include the cache. Where the span carries the provider's whole response, the response is read
instead: it has the response id, the tier, cache lifetimes and fees for which there are no attributes. The text in it is
looked at and let go. Source: openinference-instrumentation-openai 0.1.66, -anthropic 3.1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from outlay.providers.base import Reading
from outlay.providers.foreign import mapping, mappings
from outlay.providers.names import canonical_provider
from outlay.providers.registry import reader_for

from outlay_collector.billing import LONGEST_CALL_NS, Report
from outlay_collector.dialects.base import SHARED_KEYS, count, first, text
from outlay_collector.dialects.carried import agreeing, json_object, printed_completion
from outlay_collector.dialects.counts import Counts, reading_of
from outlay_collector.dialects.haystack import meta_of, read_meta
from outlay_collector.dialects.makers import PROVIDERS, operation_on_bedrock, provider_named
from outlay_collector.dialects.report import Said, report_of
from outlay_collector.dialects.vocabulary import COUNTED
from outlay_collector.otlp.span import ERROR, Span, Wanted

_OPERATIONS: Final = {"LLM": "chat", "EMBEDDING": "embeddings", "RERANKER": "rerank"}
_KIND: Final = "openinference.span.kind"
_SCOPE: Final = "openinference."
_OF_HAYSTACK: Final = f"{_SCOPE}instrumentation.haystack"
_PROVIDER: Final = ("llm.provider", "llm.system")
_GOOGLES: Final = "vertexai"
"""What it calls Gemini's models by, wherever they are asked, where only their name tells whose they are."""
_SERVED: Final = ("llm.response.model_name", "llm.model_name", "embedding.model_name", "reranker.model_name")
_ASKED: Final = "llm.request.model_name"
_PARAMETERS: Final = ("llm.invocation_parameters", "embedding.invocation_parameters")
_OUTPUT: Final = "output.value"
_RAW: Final = "raw"
"""Where smolagents prints what OpenAI's SDK gave it."""
_EVENT: Final = "data"
"""Where Mistral's SDK has what a stream's event says."""
_FINISH: Final = "llm.finish_reason"
_COST: Final = "llm.cost.total"
_INVOKING: Final = "bedrock.invoke_model"
_USAGE: Final = ("usage", "usage_metadata", "usageMetadata")
"""Under which of these a provider's response counts: Google's is printed in the SDK's names."""
_STEPS: Final = {
    **dict.fromkeys(("AGENT",), "agent"),
    **dict.fromkeys(("CHAIN", "PROMPT", "EVALUATOR"), "chain"),
    **dict.fromkeys(("TOOL", "GUARDRAIL"), "tool"),
    **dict.fromkeys(("RETRIEVER",), "retrieval"),
}
_FIRST_TOKEN: Final = "First Token Stream Event"
EVENTS: Final = {_FIRST_TOKEN: Wanted(frozenset(), ())}
"""The first token of a stream. LlamaIndex's spans of streams are over before it has come."""
_T: Final = "llm.token_count."
_COUNTS: Final[dict[str, str]] = {
    "input": f"{_T}prompt",
    "output": f"{_T}completion",
    "total": f"{_T}total",
    "cache_read": f"{_T}prompt_details.cache_read",
    "cache_write": f"{_T}prompt_details.cache_write",
    "reasoning": f"{_T}completion_details.reasoning",
    "input_audio": f"{_T}prompt_details.audio",
    "output_audio": f"{_T}completion_details.audio",
}
_METADATA: Final = "metadata.usage."
_BESIDE: Final = {
    "cache_read": f"{_METADATA}cached_prompt_tokens",
    "cache_write": f"{_METADATA}cached_creation_tokens",
}
"""Where BeeAI's spans count the cache, as texts."""


class OpenInference:
    """`llm.*` and `openinference.*`."""

    name = "openinference"
    note = "Arize's (openai 0.1.66, anthropic 3.1.0, langchain 0.1.80, beeai 0.1.30 and others); inclusive"
    keys = SHARED_KEYS | {
        _KIND, *_PROVIDER, *_SERVED, _ASKED, *_PARAMETERS, _OUTPUT, _FINISH, _COST, "error.type",
        *_COUNTS.values(), *_BESIDE.values(),
    }  # fmt: skip
    prefixes: tuple[str, ...] = ()

    def claims(self, scope_name: str, name: str, names: frozenset[str]) -> bool:
        """Not where its span processors have put their names beside another's counts (Pydantic AI's, OpenLLMetry's,
        OpenLIT's): the others count the cache too."""
        return _KIND in names and (scope_name.startswith(_SCOPE) or names.isdisjoint(COUNTED))

    def read(self, span: Span) -> Report | None:
        attributes = span.attributes.named
        operation = _OPERATIONS.get(text(attributes.get(_KIND)) or "")
        if operation is None or _is_preparation(span.name):
            return None
        parameters = json_object(first(attributes, _PARAMETERS))
        asked = text(attributes.get(_ASKED)) or text(parameters.get("model"))
        provider = _provider(span, asked)
        response = json_object(attributes.get(_OUTPUT))
        response = printed_completion(response.get(_RAW)) or mapping(response.get(_EVENT)) or response
        if span.origin.scope_name == _OF_HAYSTACK:
            response = meta_of(response)
        if provider == "bedrock":
            operation = operation_on_bedrock(operation, asked, text(first(attributes, _SERVED)))
        reading = _reading(span, provider, response, has_output=operation == "chat")
        if provider == "unknown" and reading.usage is None and span.status_code != ERROR and not _names_a_model(span):
            return None
        finished = text(attributes.get(_FINISH))
        began_at_ns = _first_token_at_ns(span)
        return report_of(
            span,
            Said(
                provider=provider,
                operation=operation,
                model_requested=asked,
                model_served=reading.model_served or text(first(attributes, _SERVED)),
                response_id=reading.response_id or text(response.get("id")) or _id_within(response),
                streamed=parameters.get("stream") is True or began_at_ns is not None,
                time_to_first_chunk_ms=None if began_at_ns is None else (began_at_ns - span.started_at_ns) / 1_000_000,
                finish_reasons=(finished,) if finished else (),
            ),
            dialect=self.name,
            reading=reading,
            ended_at_ns=began_at_ns or 0,
            stated_cost_usd=attributes.get(_COST),
        )

    def step(self, span: Span) -> str | None:
        if _is_preparation(span.name):
            return "chain"
        return _STEPS.get((text(span.attributes.named.get(_KIND)) or "").upper())


def _is_preparation(name: str) -> bool:
    """LlamaIndex's models are of kind LLM in all their methods, in those of their own too that ask nobody anything:
    `OpenAI._prepare_chat_with_tools`."""
    return "._prepare_" in name


def _names_a_model(span: Span) -> bool:
    """BeeAI's spans of a stream's tokens are of kind LLM too, one for each, and say nothing of any call."""
    return first(span.attributes.named, (_ASKED, *_SERVED, *_PARAMETERS)) is not None


def _first_token_at_ns(span: Span) -> int | None:
    """When the answer of a stream began; None where the span does not say, or says what cannot be."""
    for event in span.events:
        if event.name == _FIRST_TOKEN and 0 <= event.at_ns - span.started_at_ns <= LONGEST_CALL_NS:
            return event.at_ns
    return None


def _provider(span: Span, asked: str | None) -> str:
    """By name, else by the SDK that the instrumentation is named after: embeddings and streams may not say. Vertex's is
    called `google` by its own instrumentation, and what is not asked there `vertexai` by others."""
    attributes, instrumented = span.attributes.named, _instrumented(span.origin.scope_name)
    if instrumented == "google-vertex":
        return instrumented
    said, served = text(first(attributes, _PROVIDER)) or instrumented, text(first(attributes, _SERVED))
    if said == _GOOGLES and "gemini" in (served or ""):
        said = "google"
    return provider_named(said, asked, served)


@lru_cache(maxsize=256)
def _instrumented(scope_name: str) -> str:
    """Whose SDK it is, `unknown` where it is a framework's or nobody's."""
    name = scope_name.rpartition("instrumentation")[2].strip(".-").replace("-", "_")
    provider = canonical_provider(name)
    return provider if provider in PROVIDERS else "unknown"


def _reading(span: Span, provider: str, response: Mapping[str, Any], *, has_output: bool) -> Reading:
    """From the response where its counts are the span's; the span's own where it was cut, hidden or put together."""
    raw = {name: value for name in _COUNTS.values() if (value := count(span.attributes.named.get(name))) is not None}
    counts = Counts(**{unit: raw.get(name) for unit, name in _COUNTS.items()})
    if _BESIDE["cache_read"] in span.attributes.named:
        cached = {unit: count(span.attributes.named.get(name)) for unit, name in _BESIDE.items()}
        raw |= {_BESIDE[unit]: value for unit, value in cached.items() if value is not None}
        counts = replace(counts, **cached)
    if beside := _has_the_cache_beside(span):
        counts = replace(counts, total=None)
    counted = reading_of(counts, raw, exclusive=beside, has_output=has_output)
    if span.origin.scope_name == _OF_HAYSTACK:
        told = read_meta(provider, response)
        return counted if told.usage is None else told
    if any(response.get(name) for name in _USAGE):
        return agreeing(reader_for(provider).read_response(None, response), counted)
    return counted


def _has_the_cache_beside(span: Span) -> bool:
    """Nova's own counts of InvokeModel leave the cache out and are handed on, with a total of what they have. Those of
    Converse, and Claude's, are made to have it."""
    return span.name.startswith(_INVOKING) and "nova" in (text(first(span.attributes.named, _SERVED)) or "")


def _id_within(response: Mapping[str, Any]) -> str | None:
    """The provider's id inside what LangChain makes of a response: its own runs have another."""
    for generations in response.get("generations") or () if isinstance(response.get("generations"), list) else ():
        for generation in mappings(generations):
            kwargs = mapping(mapping(generation.get("message")).get("kwargs"))
            return text(mapping(kwargs.get("response_metadata")).get("id"))
    return None
