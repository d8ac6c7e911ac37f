"""LangSmith's OpenTelemetry export: the conventions' names, with its runs' kinds and usage beside them.

A chain repeats the response of the call inside it, id and all, so a span is a call by its kind alone. Counts include
the cache; their breakdown is printed into `gen_ai.usage.input_token_details`. Source: langsmith 0.15.0
`_internal/otel/_otel_exporter.py`.
"""

from __future__ import annotations

from typing import Final

from outlay_collector.billing import Report
from outlay_collector.dialects.base import text
from outlay_collector.dialects.genai import Customs, GenAI, read_call
from outlay_collector.dialects.vocabulary import STEPS
from outlay_collector.otlp.span import Span

_KIND: Final = "langsmith.span.kind"
_CALLS: Final = {"llm": "chat", "embedding": "embeddings"}


class LangSmith(GenAI):
    """`gen_ai.*` with `langsmith.*`."""

    keys = GenAI.keys | {_KIND}

    def __init__(self) -> None:
        super().__init__(
            Customs(name="langsmith", note="LangSmith 0.15.0's export; only kinds `llm` and `embedding` are calls")
        )

    def claims(self, scope_name: str, name: str, names: frozenset[str]) -> bool:
        return _KIND in names

    def read(self, span: Span) -> Report | None:
        operation = _CALLS.get((text(span.attributes.named.get(_KIND)) or "").lower())
        return None if operation is None else read_call(span, self.customs, operation)

    def step(self, span: Span) -> str | None:
        return STEPS.get((text(span.attributes.named.get(_KIND)) or "").lower(), "chain")
