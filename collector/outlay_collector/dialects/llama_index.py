"""LlamaIndex's own OpenTelemetry: spans without attributes, and all there is to know in their events.

What a method asked and was answered it prints into one event each, the model and the provider's whole response
flattened: `response.raw.usage.prompt_tokens`, lists as JSON. A stream's span is over when its method returns, and the
event with its answer, which comes later, is dropped: such a call counts nothing. Embeddings count nothing either.
Source: llama-index-observability-otel 0.7.0 `base.py`, `utils.py`; llama-index-core 0.14.25.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from outlay.providers.base import Reading
from outlay.providers.foreign import mapping
from outlay.providers.registry import canonical_provider, reader_for, sniff

from outlay_collector.billing import Report
from outlay_collector.dialects.base import SHARED_KEYS, text
from outlay_collector.dialects.carried import json_value, read_usage_object
from outlay_collector.dialects.makers import PROVIDERS, provider_of_model
from outlay_collector.dialects.report import Said, report_of
from outlay_collector.otlp.span import Attributes, Span, Wanted

_SCOPE: Final = "llamaindex.opentelemetry.tracer"
_ASKED: Final = {
    "LLMChatStartEvent": "chat",
    "LLMCompletionStartEvent": "chat",
    "EmbeddingStartEvent": "embeddings",
    "SparseEmbeddingStartEvent": "embeddings",
}
_ANSWERED: Final = frozenset({"LLMChatEndEvent", "LLMCompletionEndEvent"})
_CLASS: Final = "model_dict.class_name"
_MODEL: Final = ("model_dict.model_name", "model_dict.model")
_RESPONSE: Final = "response.raw."
_COUNTED: Final = "response.additional_kwargs."
EVENTS: Final = {
    **dict.fromkeys(_ASKED, Wanted(frozenset({_CLASS, *_MODEL}), ())),
    **dict.fromkeys(_ANSWERED, Wanted(frozenset(), (_RESPONSE, _COUNTED))),
}
_USAGE: Final = ("usage", "usage_metadata")
_NOBODYS: Final = re.compile(r"_?(?:responses)?_?(?:llm|embeddings?)$")
_GOOGLES: Final = "genai"
_DEEPEST: Final = 8
_UNSEEN: Final = "LlamaIndex's span of a stream is over before its usage comes"
_STREAMS: Final = ("stream_", "astream_")


class LlamaIndex:
    """Events of spans in the scope `llamaindex.opentelemetry.tracer`."""

    name = "llama-index"
    note = "LlamaIndex's own (llama-index-observability-otel 0.7.0), in span events; streams and embeddings uncounted"
    keys = SHARED_KEYS | {"error.type"}
    prefixes: tuple[str, ...] = ()

    def claims(self, scope_name: str, name: str, names: frozenset[str]) -> bool:
        return scope_name == _SCOPE

    def read(self, span: Span) -> Report | None:
        asked = next((event for event in span.events if event.name in _ASKED), None)
        if asked is None:
            return None
        operation, named = _ASKED[asked.name], asked.attributes.named
        requested = next(filter(None, (text(named.get(name)) for name in _MODEL)), None)
        answer = next((event.attributes for event in span.events if event.name in _ANSWERED), Attributes())
        response = _nested(answer, _RESPONSE)
        provider = _provider(text(named.get(_CLASS)) or "", requested, response)
        streamed = span.name.partition(".")[2].startswith(_STREAMS)
        reading = _reading(provider, requested, response)
        if reading is None:
            reading = _counted(provider, requested, _nested(answer, _COUNTED), streamed=streamed)
        return report_of(
            span,
            Said(
                provider=provider,
                operation=operation,
                model_requested=requested,
                model_served=reading.model_served or text(response.get("model")),
                response_id=reading.response_id or text(response.get("id")),
                streamed=streamed,
            ),
            dialect=self.name,
            reading=reading,
        )

    def step(self, span: Span) -> str | None:
        owner, _, method = span.name.partition(".")
        if owner.endswith("Tool"):
            return "tool"
        if "retrieve" in method:
            return "retrieval"
        return "agent" if "Agent" in owner and method == "run" else "chain"


def _provider(class_name: str, requested: str | None, response: Mapping[str, Any]) -> str:
    """By the class that asked: `openai_llm`, `Bedrock_Converse_LLM`. Whoever speaks OpenAI's formats may be called
    through its class, or `OpenAILike`: then the answer tells, else the model."""
    said = _NOBODYS.sub("", class_name.lower())
    provider = "google" if said == _GOOGLES else canonical_provider(said)
    if provider in PROVIDERS and provider != "openai":
        return provider
    told = sniff(response) or provider_of_model(requested)
    return told or (provider if provider in PROVIDERS else "unknown")


def _reading(provider: str, model: str | None, response: Mapping[str, Any]) -> Reading | None:
    """By the whole response or, where what it said was cut, by its usage; None where it counts nothing."""
    usage = next((found for name in _USAGE if (found := mapping(response.get(name)))), None)
    if usage is None:
        return None
    whole = reader_for(provider).read_response(None, response)
    return read_usage_object(provider, model, usage) if whole.usage is None else whole


def _counted(provider: str, model: str | None, said: Mapping[str, Any], *, streamed: bool) -> Reading:
    """What LlamaIndex took out of a response it does not have whole."""
    usage = mapping(said.get("usage")) or said
    if not usage:
        return Reading(usage=None, usage_raw=None, reason_unread=_UNSEEN if streamed else None)
    return read_usage_object(provider, model, usage)


def _nested(flat: Attributes, prefix: str) -> dict[str, Any]:
    """The object that was flattened under the prefix, without what it says is null."""
    nested: dict[str, Any] = {}
    for key, value in flat.families.items():
        *path, last = key.removeprefix(prefix).split(".")
        if not key.startswith(prefix) or len(path) > _DEEPEST or value == "null":
            continue
        at = nested
        for part in path:
            within = at.setdefault(part, {})
            at = within if isinstance(within, dict) else {}
        at[last] = json_value(value) if isinstance(value, str) and value.startswith(("[", "{")) else value
    return nested
