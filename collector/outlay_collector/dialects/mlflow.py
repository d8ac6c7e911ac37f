"""MLflow: spans of its autologging, each value as JSON.

`mlflow.spanOutputs` is the provider's whole response where the SDK was traced, `mlflow.chat.tokenUsage` the counts in
MLflow's own words: input with the cache in it. Source: mlflow 3.17.2 `tracing/constant.py`, `openai`, `anthropic`.

Asked to (`MLFLOW_ENABLE_OTEL_GENAI_SEMCONV`), it tells the call in the names of the conventions instead, and of its
usage no more than input and output. Every chunk of an OpenAI stream is an event then too: the last has the usage.
Source: `tracing/export/genai_semconv`, `openai/autolog.py`.
"""

from __future__ import annotations

from typing import Any, Final

from outlay.providers.base import Reading
from outlay.providers.foreign import mapping
from outlay.providers.registry import canonical_provider, reader_for

from outlay_collector.billing import Report
from outlay_collector.dialects.base import SHARED_KEYS, count, first, text
from outlay_collector.dialects.carried import agreeing, json_object, json_value
from outlay_collector.dialects.counts import Counts, reading_of
from outlay_collector.dialects.genai import Customs, GenAI, counted, operation_of, provider_of, read_call
from outlay_collector.dialects.makers import provider_of_model
from outlay_collector.dialects.report import Said, report_of
from outlay_collector.otlp.span import Span, Wanted

_TYPE: Final = "mlflow.spanType"
_INPUTS: Final = "mlflow.spanInputs"
_OUTPUTS: Final = "mlflow.spanOutputs"
_USAGE: Final = "mlflow.chat.tokenUsage"
_MODEL: Final = "mlflow.llm.model"
_PROVIDER: Final = "mlflow.llm.provider"
_FORMAT: Final = "mlflow.message.format"
_COST: Final = "mlflow.llm.cost"
_CALLS: Final = {"CHAT_MODEL": "chat", "LLM": "chat", "EMBEDDING": "embeddings", "RERANKER": "rerank"}
_STEPS: Final = {
    **dict.fromkeys(("AGENT",), "agent"),
    **dict.fromkeys(("TOOL", "GUARDRAIL"), "tool"),
    **dict.fromkeys(("RETRIEVER", "MEMORY"), "retrieval"),
}
_CHUNK: Final = "mlflow.chunk.item."
"""And its number."""
_CHUNK_VALUE: Final = "mlflow.chunk.value"
EVENTS: Final = {_CHUNK: Wanted(frozenset({_CHUNK_VALUE}), ())}
_COUNTED: Final = ("usage", "usageMetadata", "usage_metadata")
"""Under which of these a provider's response counts: Google's is printed in the SDK's names."""
_NAMES: Final = {
    "input": ("input_tokens",),
    "output": ("output_tokens",),
    "total": ("total_tokens",),
    "cache_read": ("cache_read_input_tokens",),
    "cache_write": ("cache_creation_input_tokens",),
    "cache_write_1h": ("cache_creation_input_tokens_above_1hr",),
}


class MLflow:
    """`mlflow.*`."""

    name = "mlflow"
    note = "MLflow 3.17.2's autologging; the provider's response where the span has it; inclusive"
    keys = SHARED_KEYS | {_TYPE, _INPUTS, _OUTPUTS, _USAGE, _MODEL, _PROVIDER, _FORMAT, _COST, "error.type"}
    prefixes: tuple[str, ...] = ()

    def claims(self, scope_name: str, name: str, names: frozenset[str]) -> bool:
        return _TYPE in names

    def read(self, span: Span) -> Report | None:
        get = span.attributes.named.get
        operation = _CALLS.get(_plain(get(_TYPE)) or "")
        if operation is None:
            return None
        asked, answered = json_object(get(_INPUTS)), json_object(get(_OUTPUTS))
        requested = text(asked.get("model"))
        served = text(first(answered, ("model", "model_version"))) or _plain(get(_MODEL))
        told = _plain(get(_PROVIDER)) or provider_of_model(served, mapping(answered.get("usage")))
        provider = canonical_provider(told or _plain(get(_FORMAT)) or "unknown")
        reading = _counted(span, operation)
        if any(answered.get(name) for name in _COUNTED):
            reading = agreeing(reader_for(provider).read_response(None, answered), reading)
        return report_of(
            span,
            Said(
                provider=provider,
                operation=operation,
                model_requested=requested,
                model_served=served,
                response_id=reading.response_id or text(answered.get("id")),
                streamed=asked.get("stream") is True,
            ),
            dialect=self.name,
            reading=reading,
            stated_cost_usd=json_object(get(_COST)).get("total_cost"),
        )

    def step(self, span: Span) -> str | None:
        kind = _plain(span.attributes.named.get(_TYPE)) or ""
        return _STEPS.get(kind, "chain")


class MLflowInConventions(GenAI):
    """`gen_ai.*` in a scope `mlflow.*`."""

    def __init__(self) -> None:
        super().__init__(
            Customs(
                name="mlflow-genai",
                scopes=("mlflow.",),
                note="MLflow 3.17.2 in the conventions' names; without the cache but in streams of OpenAI's SDK",
            )
        )

    def read(self, span: Span) -> Report | None:
        operation = operation_of(span)
        chunks = [event for event in span.events if event.name.startswith(_CHUNK)]
        if operation is None or not chunks:
            return super().read(span)
        provider = provider_of(span)
        last = json_object(chunks[-1].attributes.named.get(_CHUNK_VALUE))
        told = reader_for(provider).read_response(None, [last])
        reading = agreeing(told, counted(span, provider, operation))
        return read_call(span, self.customs, operation, provider=provider, reading=reading, streamed=True)


def _plain(value: object) -> str | None:
    """The text in a JSON text, or the text itself: exporters that translate take the quotes away."""
    return text(json_value(value)) or text(value)


def _counted(span: Span, operation: str) -> Reading:
    raw = json_object(span.attributes.named.get(_USAGE))
    values: dict[str, Any] = {unit: count(raw.get(names[0])) for unit, names in _NAMES.items()}
    if values["cache_write_1h"] and values["cache_write"] is not None:
        values["cache_write_5m"] = values["cache_write"] - values["cache_write_1h"]
        if values["cache_write_5m"] < 0:
            values["cache_write_5m"] = values["cache_write_1h"] = None
    return reading_of(Counts(**values), raw, has_output=operation == "chat")
