"""OpenInference: the attributes of Arize's instrumentations.

Its counts are totals that include the cache. Where the span carries the provider's whole response, the response is read
instead: it has the response id, the tier, cache lifetimes and fees for which there are no attributes. The text in it is
looked at and let go. Source: openinference-instrumentation-openai 0.1.66, -anthropic 3.1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from outlay.model import Call
from outlay.providers.base import Reading
from outlay.providers.registry import canonical_provider, reader_for

from outlay_collector.billing import Report, Source
from outlay_collector.dialects.base import SHARED_KEYS, attribution_of, count, error_of, first, text
from outlay_collector.dialects.counts import Counts, read_counts
from outlay_collector.otlp.span import Span

_OPERATIONS: Final = {"LLM": "chat", "EMBEDDING": "embeddings", "RERANKER": "rerank"}
_KIND: Final = "openinference.span.kind"
_PROVIDER: Final = ("llm.provider", "llm.system")
_SERVED: Final = ("llm.response.model_name", "llm.model_name", "embedding.model_name", "reranker.model_name")
_ASKED: Final = "llm.request.model_name"
_PARAMETERS: Final = ("llm.invocation_parameters", "embedding.invocation_parameters")
_OUTPUT: Final = "output.value"
_FINISH: Final = "llm.finish_reason"
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


class OpenInference:
    """`llm.*` and `openinference.*`."""

    name = "openinference"
    keys = SHARED_KEYS | {
        _KIND, *_PROVIDER, *_SERVED, _ASKED, *_PARAMETERS, _OUTPUT, _FINISH, *_COUNTS.values(), "error.type",
    }  # fmt: skip
    prefixes: tuple[str, ...] = ()

    def claims(self, span: Span) -> bool:
        return _KIND in span.attributes.named

    def read(self, span: Span) -> Report | None:
        attributes = span.attributes.named
        operation = _OPERATIONS.get(text(attributes.get(_KIND)) or "")
        if operation is None:
            return None
        provider = canonical_provider(text(first(attributes, _PROVIDER)) or "unknown")
        parameters = _json_object(first(attributes, _PARAMETERS))
        response = _json_object(attributes.get(_OUTPUT))
        reading = _reading(span, provider, response, has_output=operation == "chat")
        asked = text(attributes.get(_ASKED)) or text(parameters.get("model"))
        finished = text(attributes.get(_FINISH))
        call = Call(
            provider=provider,
            operation=operation,
            model_requested=asked,
            model_served=reading.model_served or text(first(attributes, _SERVED)),
            response_id=reading.response_id or text(response.get("id")),
            started_at_ns=span.started_at_ns,
            ended_at_ns=span.ended_at_ns,
            streamed=parameters.get("stream") is True,
            finish_reasons=(finished,) if finished else reading.finish_reasons,
            error_type=error_of(span),
            usage=reading.usage,
            usage_raw=reading.usage_raw,
            reason_unread=reading.reason_unread,
            terms=reading.terms,
            attribution=attribution_of(span),
        )
        return Report(
            call=call,
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent_span_id=span.parent_span_id,
            dialect=self.name,
            scope=span.origin.scope,
            source=Source.OTHER,
            provider_cost_usd=reading.provider_cost_usd,
        )


def _reading(span: Span, provider: str, response: Mapping[str, Any], *, has_output: bool) -> Reading:
    """From the response where its counts are the span's; the span's own where it was cut, hidden or put together."""
    raw = {name: value for name in _COUNTS.values() if (value := count(span.attributes.named.get(name))) is not None}
    counts = Counts(**{unit: raw.get(name) for unit, name in _COUNTS.items()})
    counted = read_counts(counts, exclusive=False, has_output=has_output)
    if response.get("usage"):
        reading = reader_for(provider).read_response(None, response)
        agrees = counted.usage is None or (reading.usage and reading.usage.input_tokens == counted.usage.input_tokens)
        if reading.usage is not None and agrees:
            return reading
    return Reading(usage=counted.usage, usage_raw=raw or None, reason_unread=counted.reason)


def _json_object(value: object) -> Mapping[str, Any]:
    """The object in a JSON text; empty where there is none, or where it was cut."""
    if not isinstance(value, str):
        return {}
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
