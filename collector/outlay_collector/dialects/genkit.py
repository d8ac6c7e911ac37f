"""Genkit's spans: one for each action, a model's among them, with what it was given and gave as JSON.

What a model gave has the provider's whole response as `raw`, in streams too, and a usage of Genkit's own, which leaves
out what came from the cache but of Gemini. Models are named with the plugin that asked, `googleai/gemini-2.5-flash`.
Source: genkit 1.42.0, @genkit-ai/compat-oai 1.42.0, `@genkit-ai/ai` `model-types`.
"""

from __future__ import annotations

from typing import Final

from outlay.providers.base import Reading
from outlay.providers.foreign import mapping
from outlay.providers.registry import canonical_provider, reader_for

from outlay_collector.billing import Report
from outlay_collector.dialects.base import SHARED_KEYS, count, text
from outlay_collector.dialects.carried import Document, json_object
from outlay_collector.dialects.counts import Counts, reading_of
from outlay_collector.dialects.makers import PROVIDERS, provider_of_model
from outlay_collector.dialects.report import Said, report_of
from outlay_collector.otlp.span import Span

_TYPE: Final = "genkit:type"
_KIND: Final = "genkit:metadata:subtype"
_NAME: Final = "genkit:name"
_OUTPUT: Final = "genkit:output"
_CALLS: Final = {"model": "chat", "embedder": "embeddings"}
_STEPS: Final = {"tool": "tool", "retriever": "retrieval", "agent": "agent"}
_PLUGINS: Final = {"googleai": "google", "vertexai": "google-vertex", "azureopenai": "azure"}


class Genkit:
    """`genkit:*`."""

    name = "genkit"
    note = "Genkit 1.42.0; the provider's response where the span has it"
    keys = SHARED_KEYS | {_TYPE, _KIND, _NAME, _OUTPUT, "error.type"}
    prefixes: tuple[str, ...] = ()

    def claims(self, scope_name: str, name: str, names: frozenset[str]) -> bool:
        return _TYPE in names

    def read(self, span: Span) -> Report | None:
        get = span.attributes.named.get
        operation = _CALLS.get(text(get(_KIND)) or "")
        if operation is None:
            return None
        plugin, _, model = (text(get(_NAME)) or "").rpartition("/")
        provider = _provider(plugin, model)
        reading = _reading(provider, json_object(get(_OUTPUT)))
        return report_of(
            span,
            Said(provider=provider, operation=operation, model_requested=model or None),
            dialect=self.name,
            reading=reading,
        )

    def step(self, span: Span) -> str | None:
        return _STEPS.get(text(span.attributes.named.get(_KIND)) or "", "chain")


def _provider(plugin: str, model: str) -> str:
    """The plugin's, which is mostly named after one; else whose model goes by that name."""
    provider = _PLUGINS.get(plugin, canonical_provider(plugin))
    return provider if provider in PROVIDERS else provider_of_model(model) or "unknown"


def _reading(provider: str, output: Document) -> Reading:
    """By the provider's response; of one that is not there by what Genkit took out of it."""
    whole = reader_for(provider).read_response(None, mapping(output.get("raw")) or mapping(output.get("custom")))
    if whole.usage is not None:
        return whole
    usage = mapping(output.get("usage"))
    counts = Counts(
        input=count(usage.get("inputTokens")),
        output=count(usage.get("outputTokens")),
        total=count(usage.get("totalTokens")),
        cache_read=count(usage.get("cachedContentTokens")),
        reasoning=count(usage.get("thoughtsTokens")),
    )
    return reading_of(counts, usage)
