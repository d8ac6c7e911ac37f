"""OpenTelemetry's GenAI conventions, of every vintage, and the instrumentations that keep to them.

Names changed over time (`gen_ai.system`, `prompt_tokens`, `cache_creation` for `cache_write`) and stand here newest
first. Source: open-telemetry/semantic-conventions-genai; opentelemetry-semantic-conventions 0.66b2 for the older names.
"""

from __future__ import annotations

from typing import Any, Final

from outlay.model import Call
from outlay.providers.registry import canonical_provider, provider_of_host

from outlay_collector.billing import Report, Source
from outlay_collector.dialects.base import (
    MOST_RETRIES,
    SHARED_KEYS,
    attribution_of,
    count,
    error_of,
    first,
    http_status,
    milliseconds,
    terms_of,
    text,
)
from outlay_collector.dialects.counts import Counts, read_counts
from outlay_collector.otlp.span import Span

PROVIDER: Final = ("gen_ai.provider.name", "gen_ai.system")
OPERATION: Final = ("gen_ai.operation.name", "llm.request.type")
HOST: Final = ("server.address", "gen_ai.openai.api_base")
STREAMED: Final = ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming")
REQUEST_ID: Final = ("anthropic.request.id", "openai.request.id")
FIRST_CHUNK: Final = ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")
FINISH: Final = ("gen_ai.response.finish_reasons", "anthropic.message.stop_reason")
_U: Final = "gen_ai.usage."
COUNTS: Final[dict[str, tuple[str, ...]]] = {
    "input": (f"{_U}input_tokens", f"{_U}prompt_tokens", "llm.usage.prompt_tokens"),
    "output": (f"{_U}output_tokens", f"{_U}completion_tokens", "llm.usage.completion_tokens"),
    "total": (f"{_U}total_tokens", "llm.usage.total_tokens"),
    "cache_read": (
        f"{_U}cache_read.input_tokens",
        f"{_U}cache_read_input_tokens",
        f"{_U}details.cache_read_tokens",
        f"{_U}details.cache_read_input_tokens",
        f"{_U}cached_tokens",
    ),
    "cache_write": (
        f"{_U}cache_write.input_tokens",
        f"{_U}cache_creation.input_tokens",
        f"{_U}cache_creation_input_tokens",
        f"{_U}details.cache_write_tokens",
        f"{_U}details.cache_creation_input_tokens",
    ),
    "cache_write_5m": ("anthropic.usage.cache_creation.ephemeral_5m_input_tokens",),
    "cache_write_1h": ("anthropic.usage.cache_creation.ephemeral_1h_input_tokens",),
    "reasoning": (
        f"{_U}reasoning.output_tokens",
        f"{_U}reasoning_tokens",
        f"{_U}details.reasoning_tokens",
    ),
    "input_audio": (f"{_U}audio.input_tokens", f"{_U}details.input_audio_tokens"),
    "input_image": (f"{_U}image.input_tokens",),
    "cache_read_audio": (f"{_U}audio.cache_read.input_tokens", f"{_U}details.cache_audio_read_tokens"),
    "output_audio": (f"{_U}audio.output_tokens", f"{_U}details.output_audio_tokens"),
    "output_image": (f"{_U}image.output_tokens",),
}
_NOT_CALLS: Final = frozenset(
    {
        *("agent", "create_agent", "invoke_agent", "handoff"),
        *("workflow", "invoke_workflow", "task"),
        *("tool", "execute_tool", "retrieval", "evaluate", "fetch_response"),
        *("create_memory", "search_memory", "update_memory", "delete_memory"),
    }
)
_CALLS: Final = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
_OPERATIONS: Final = {"completion": "text_completion", "embedding": "embeddings", "chat.completions": "chat"}
_WITHOUT_OUTPUT: Final = frozenset({"embeddings", "rerank", "moderation"})
_SOURCES: Final = (
    ("com.anthropic.sdk", Source.SDK),
    ("mistralai_sdk", Source.SDK),
    ("opentelemetry.instrumentation.genai", Source.OFFICIAL),
    ("opentelemetry.instrumentation.openai_v2", Source.OFFICIAL),
    ("opentelemetry.instrumentation.google_genai", Source.OFFICIAL),
    ("opentelemetry.instrumentation.vertexai", Source.OFFICIAL),
    ("opentelemetry.instrumentation.botocore", Source.OFFICIAL),
    ("opentelemetry.util.genai", Source.OFFICIAL),
)
_EXCLUSIVE_SCOPES: Final = ("openlit", "langfuse")
"""Scopes that hand on a provider's own input count, which Anthropic and Bedrock give without the cache."""


class GenAI:
    """The conventions as `gen_ai.*` attributes."""

    name = "genai"
    keys = SHARED_KEYS | frozenset(
        (
            *PROVIDER,
            *OPERATION,
            *HOST,
            *STREAMED,
            *REQUEST_ID,
            *FIRST_CHUNK,
            *FINISH,
            *(name for names in COUNTS.values() for name in names),
            "gen_ai.request.model",
            "gen_ai.response.model",
            "gen_ai.response.id",
            "error.type",
            "http.response.status_code",
            "http.request.resend_count",
            "traceloop.span.kind",
        )
    )
    prefixes: tuple[str, ...] = ()

    def claims(self, span: Span) -> bool:
        return first(span.attributes.named, PROVIDER) is not None or OPERATION[0] in span.attributes.named

    def read(self, span: Span) -> Report | None:
        attributes = span.attributes.named
        operation = _operation(span)
        if operation is None:
            return None
        provider = _provider(span)
        counts = Counts(**{name: count(first(attributes, names)) for name, names in COUNTS.items()})
        counted = read_counts(
            counts,
            exclusive=provider in ("anthropic", "bedrock") and span.origin.scope_name.startswith(_EXCLUSIVE_SCOPES),
            has_output=operation not in _WITHOUT_OUTPUT,
        )
        call = Call(
            provider=provider,
            operation=operation,
            model_requested=text(attributes.get("gen_ai.request.model")),
            model_served=text(attributes.get("gen_ai.response.model")),
            response_id=text(attributes.get("gen_ai.response.id")),
            request_id=text(first(attributes, REQUEST_ID)),
            server_address=text(attributes.get("server.address")),
            started_at_ns=span.started_at_ns,
            ended_at_ns=span.ended_at_ns,
            streamed=first(attributes, STREAMED) is True,
            time_to_first_chunk_ms=milliseconds(first(attributes, FIRST_CHUNK)),
            finish_reasons=_finish_reasons(first(attributes, FINISH)),
            http_status=http_status(attributes.get("http.response.status_code")),
            error_type=error_of(span),
            usage=counted.usage,
            usage_raw=_raw(attributes) if counted.usage or counted.reason else None,
            reason_unread=counted.reason,
            terms=terms_of(span),
            attribution=attribution_of(span),
        )
        return Report(
            call=call,
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent_span_id=span.parent_span_id,
            dialect=self.name,
            scope=span.origin.scope,
            source=_source(span.origin.scope_name),
            retries=min(count(attributes.get("http.request.resend_count")) or 0, MOST_RETRIES),
        )


def _operation(span: Span) -> str | None:
    """What the call does, None where the span is no call."""
    attributes = span.attributes.named
    if "traceloop.span.kind" in attributes:
        return None
    said = (text(first(attributes, OPERATION)) or "").lower()
    if said in _NOT_CALLS:
        return None
    operation = _OPERATIONS.get(said, said)
    if operation in _CALLS:
        return operation
    has_model = "gen_ai.request.model" in attributes or "gen_ai.response.model" in attributes
    return operation or "chat" if has_model else None


def _provider(span: Span) -> str:
    """The host knows better than the SDK's name: forty providers are called through OpenAI's."""
    said = canonical_provider(text(first(span.attributes.named, PROVIDER)) or "unknown")
    host = text(first(span.attributes.named, HOST))
    if said == "openai" and host:
        host = host.split("://", 1)[-1].split("/", 1)[0].split(":", 1)[0]
        return provider_of_host(host) or said
    return said


def _finish_reasons(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(reason for item in values[:8] if (reason := text(item)))


def _raw(attributes: Any) -> dict[str, Any]:
    """The counts under the names they came with, so that history can be read again."""
    names = (name for names in COUNTS.values() for name in names)
    return {
        name: text(value) if isinstance(value, str) else value
        for name in names
        if isinstance(value := attributes.get(name), (int, float, str))
    }


def _source(scope_name: str) -> Source:
    return next((source for prefix, source in _SOURCES if scope_name.startswith(prefix)), Source.OTHER)
