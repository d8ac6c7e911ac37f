"""OpenLIT: the conventions' names, with a provider's own input count and a cost of its own.

Anthropic's and Bedrock's input leaves the cache out, Gemini's output the thoughts, and it stays so on the span. A call
that failed may say nothing at all but its name, `chat claude-opus-4-8`, and its scope,
`openlit.instrumentation.anthropic`: then these are read.
Source: openlit 1.45.0 and 1.26.0 (scope `openlit.otel.tracing`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from outlay_collector.billing import Report
from outlay_collector.dialects.base import first, text
from outlay_collector.dialects.genai import Customs, GenAI, operation_of, provider_of, read_call
from outlay_collector.dialects.makers import provider_named
from outlay_collector.dialects.vocabulary import MODEL, OPERATION, PROVIDER, SERVED
from outlay_collector.otlp.span import ERROR, Span

_SCOPE: Final = "openlit"
_INSTRUMENTATION: Final = "openlit.instrumentation."
_OF_GEMINI: Final = f"{_INSTRUMENTATION}google_ai_studio"
_NODES: Final = frozenset({"user_prompt_processing", "model_request", "tool_coordination", "execution"})
"""Nodes of Pydantic AI's graph, which name its model; the request is told of by the SDK's span."""
_NAMED: Final = frozenset({"chat", "text_completion", "embeddings", "generate_content"})


class OpenLit(GenAI):
    """`gen_ai.*` in a scope of OpenLIT's."""

    def __init__(self) -> None:
        super().__init__(
            Customs(
                name="openlit",
                scopes=(_SCOPE,),
                exclusive=True,
                note="OpenLIT 1.45.0 and 1.26.0; Anthropic's, Bedrock's cache and Gemini's thoughts left out",
            )
        )
        self._of_gemini = replace(self.customs, thoughts_beside=True)

    def claims(self, scope_name: str, name: str, names: frozenset[str]) -> bool:
        return scope_name.startswith(_SCOPE)

    def read(self, span: Span) -> Report | None:
        attributes = span.attributes.named
        if OPERATION[0] not in attributes and MODEL not in attributes and SERVED not in attributes:
            return self._nameless(span)
        operation = operation_of(span)
        if operation is None or operation in _NODES:
            return None
        provider = provider_of(span) if first(attributes, PROVIDER) is not None else _of_scope(span)
        customs = self._of_gemini if span.origin.scope_name.startswith(_OF_GEMINI) else self.customs
        return read_call(span, customs, operation, provider=provider)

    def _nameless(self, span: Span) -> Report | None:
        """A call that failed before OpenLIT had written anything down."""
        operation, _, model = span.name.partition(" ")
        scope = span.origin.scope_name
        if span.status_code != ERROR or operation not in _NAMED or not scope.startswith(_INSTRUMENTATION):
            return None
        return read_call(span, self.customs, operation, provider=_of_scope(span), model_requested=text(model))


def _of_scope(span: Span) -> str:
    """The provider an instrumentation is named after: log records leave it out. Not where it is a framework's."""
    get = span.attributes.named.get
    named = span.origin.scope_name.removeprefix(_INSTRUMENTATION).split(".", 1)[0]
    return provider_named(named, text(get(MODEL)), text(get(SERVED)))
