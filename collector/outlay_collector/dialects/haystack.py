"""What Haystack's components say of the calls they make.

A generator hands out messages, each with what was answered in its `meta`: the model, and the provider's usage object as
the integration hands it on; an embedder a `meta` of its own. Haystack's own tracing, in whatever scope the application
gave it, has one span a component: what it hands out is there only where content is traced, and else nothing is counted.
OpenInference's instrumentation prints the messages. Source: haystack-ai 2.31.0 and 3.4.0 `core/pipeline/pipeline.py`,
anthropic-haystack 8.0.1, google-genai-haystack 7.0.0, openinference-instrumentation-haystack 0.1.46.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from outlay.providers.base import Reading
from outlay.providers.foreign import mapping
from outlay.providers.registry import canonical_provider, reader_for

from outlay_collector.billing import Report
from outlay_collector.dialects.base import SHARED_KEYS, count, text
from outlay_collector.dialects.carried import Document, json_object, printed_object, read_usage_object
from outlay_collector.dialects.counts import Counts, reading_of
from outlay_collector.dialects.makers import PROVIDERS, provider_of_model
from outlay_collector.dialects.report import Said, report_of
from outlay_collector.otlp.span import Span

_C: Final = "haystack.component."
_TYPE: Final = f"{_C}type"
_OUTPUT: Final = f"{_C}output"
_NOTHING: Final[Document] = {}
_META: Final = "_meta="
_USAGE: Final = "'usage': "
_LONGEST_USAGE: Final = 4_096
_ID: Final = re.compile(r"'id': '([\w.-]{1,128})'")
_GENERATOR: Final = re.compile(r"(.*?)(?:Responses)?(?:Chat)?Generator$")
_EMBEDDER: Final = re.compile(r"(.*?)(?:Text|Document)(?:Image)?Embedder$")
_UNBILLED: Final = ("fallback", "huggingfacelocal", "sentencetransformers", "dalle")
"""Components that ask others, run a model themselves, or make images: no calls that are told here."""
_WHOSE: Final = (
    ("googlegenai", "google"),
    ("googleai", "google"),
    ("vertexai", "google-vertex"),
    ("amazonbedrock", "bedrock"),
    ("azureopenai", "azure"),
    ("anthropicvertex", "google-vertex"),
    ("huggingface", "huggingface"),
)
_STEPS: Final = (("Agent", "agent"), ("ToolInvoker", "tool"), ("Retriever", "retrieval"))


class Haystack:
    """`haystack.component.*`, in whatever scope."""

    name = "haystack"
    note = "Haystack's own tracing (haystack-ai 2.31.0); counts only where it traces content"
    keys = SHARED_KEYS | {_TYPE, _OUTPUT, "error.type"}
    prefixes: tuple[str, ...] = ()

    def claims(self, scope_name: str, name: str, names: frozenset[str]) -> bool:
        return _TYPE in names

    def read(self, span: Span) -> Report | None:
        component = text(span.attributes.named.get(_TYPE)) or ""
        asked = (_GENERATOR.match(component), "chat"), (_EMBEDDER.match(component), "embeddings")
        whose, operation = next(((found[1], does) for found, does in asked if found), ("", ""))
        if not operation or whose.lower().startswith(_UNBILLED):
            return None
        said = meta_of(json_object(span.attributes.named.get(_OUTPUT)))
        model = text(said.get("model"))
        provider = _provider(whose.lower(), model)
        reading = read_meta(provider, said)
        return report_of(
            span,
            Said(provider=provider, operation=operation, model_served=model, response_id=text(said.get("id"))),
            dialect=self.name,
            reading=reading,
        )

    def step(self, span: Span) -> str | None:
        component = text(span.attributes.named.get(_TYPE)) or ""
        return next((kind for ending, kind in _STEPS if component.endswith(ending)), "chain")


def _provider(whose: str, model: str | None) -> str:
    """By the component's name, `AmazonBedrockChatGenerator`; whoever speaks OpenAI's formats may be called through
    OpenAI's, and then the model tells."""
    provider = next((name for beginning, name in _WHOSE if whose.startswith(beginning)), canonical_provider(whose))
    if provider in PROVIDERS and provider != "openai":
        return provider
    return provider_of_model(model) or (provider if provider in PROVIDERS else "unknown")


def meta_of(output: Document) -> Document:
    """What was answered, of what a component handed out; empty where it does not say."""
    if beside := _first(output.get("meta")):
        return mapping(beside)
    reply = _first(output.get("replies"))
    return _printed_meta(reply) if isinstance(reply, str) else mapping(mapping(reply).get("meta"))


def _first(value: Any) -> Any:
    return (value[0] if value else None) if isinstance(value, list) else value


def _printed_meta(message: str) -> Document:
    """The `meta` in what Python prints of a message. Of one that is too long to be read its usage and its id."""
    _, found, printed = message.rpartition(_META)
    if not found or not printed.endswith(")"):
        return _NOTHING
    if whole := printed_object(printed[:-1]):
        return whole
    _, found, rest = printed.rpartition(_USAGE)
    usage = _first_object(rest[:_LONGEST_USAGE]) if found else _NOTHING
    told = _ID.match(printed, 1)
    return {"usage": usage, "id": told[1] if told else None} if usage else _NOTHING


def _first_object(printed: str) -> Document:
    """The object that a text begins with: it is over where its braces are."""
    depth = 0
    for at, letter in enumerate(printed):
        depth += (letter == "{") - (letter == "}")
        if not depth:
            return printed_object(printed[: at + 1])
    return _NOTHING


def read_meta(provider: str, said: Document) -> Reading:
    """The usage in a message's `meta`: the provider's own object, or what an integration made of it."""
    usage, model = mapping(said.get("usage")), text(said.get("model"))
    if not usage:
        return Reading()
    if said.get("object") == "response":
        return reader_for(provider).read_response(None, said)
    if "candidates_token_count" in usage:
        whole: Document = {"candidates": [], "model_version": model, "usage_metadata": usage}
        return reader_for(provider).read_response(None, whole)
    if "prompt_tokens" in usage and ("cache_read_input_tokens" in usage or "cache_write_input_tokens" in usage):
        return _made_of_anothers(usage)
    return read_usage_object(provider, model, usage)


def _made_of_anothers(usage: Mapping[str, Any]) -> Reading:
    """Anthropic's and Bedrock's, with the names of OpenAI's for what went in, cache and all, and what came out."""
    written = mapping(usage.get("cache_creation"))
    counts = Counts(
        input=count(usage.get("prompt_tokens")),
        output=count(usage.get("completion_tokens")),
        total=count(usage.get("total_tokens")),
        cache_read=count(usage.get("cache_read_input_tokens")),
        cache_write=count(usage.get("cache_creation_input_tokens", usage.get("cache_write_input_tokens"))),
        cache_write_5m=count(written.get("ephemeral_5m_input_tokens")),
        cache_write_1h=count(written.get("ephemeral_1h_input_tokens")),
    )
    return reading_of(counts, usage)
