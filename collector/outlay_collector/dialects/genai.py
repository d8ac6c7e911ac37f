"""OpenTelemetry's GenAI conventions, of every vintage, and the instrumentations that keep to them.

Names changed over time (`gen_ai.system`, `prompt_tokens`, `cache_creation` for `cache_write`): `vocabulary` has them.
What an instrumentation does in its own way, and still in these names, is said by its `Customs` (in `customs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from outlay.providers.base import Reading
from outlay.providers.registry import provider_of_host

from outlay_collector.billing import Report, Source
from outlay_collector.dialects.base import SHARED_KEYS, count, first, milliseconds, text
from outlay_collector.dialects.carried import agreeing, json_object, printed_object, read_usage_object
from outlay_collector.dialects.counts import Counts, read_counts
from outlay_collector.dialects.makers import bedrock_model, provider_named
from outlay_collector.dialects.report import report_of
from outlay_collector.dialects.vocabulary import (
    COUNTS,
    DETAILS,
    FINISH,
    FIRST_CHUNK,
    HOST,
    INPUT_DETAILS,
    MODEL,
    OPERATION,
    OUTPUT_DETAILS,
    PROVIDER,
    RAW,
    REQUEST_ID,
    SERVED,
    STATED_COST,
    STEPS,
    STREAMED,
    USAGE_METADATA,
    Names,
    names_of,
)
from outlay_collector.otlp.span import Span

_CALLS: Final = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
_OPERATIONS: Final = {
    "completion": "text_completion",
    "embedding": "embeddings",
    "chat.completions": "chat",
    "llm_call": "chat",
    "interactions.create": "chat",
}
_WITHOUT_OUTPUT: Final = frozenset({"embeddings", "rerank", "moderation"})
_LEAVE_CACHE_OUT: Final = frozenset({"anthropic", "bedrock"})
"""Providers whose own input count leaves the cache out. Cohere's does too, of units it bills: its cache is no part of
any bill."""
_GEMINI: Final = frozenset({"google", "google-vertex"})
_ON_VERTEX: Final = ("projects/", "publishers/")
_BROKEN_DOWN: Final = frozenset({INPUT_DETAILS, OUTPUT_DETAILS, USAGE_METADATA})
_INTERACTION: Final = "interactions.create"
"""Google's Interactions: OpenTelemetry hands its counts on, the thoughts beside the output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customs:
    """What one instrumentation does in its own way. `scopes` are beginnings of its scopes' names.

    `exclusive`: it hands on the provider's own input count, which Anthropic and Bedrock give without the cache, and a
    total that it adds up itself and that proves nothing.
    """

    name: str
    scopes: tuple[str, ...] = ()
    source: Source = Source.OTHER
    exclusive: bool = False
    thoughts_beside: bool = False
    """It hands on Gemini's own output count, which leaves the thoughts out."""
    first_token_in_ms: bool = False
    """Its time to the first token is in milliseconds, where the conventions have seconds."""
    provider: str | None = None
    """Whose calls they all are; None where the span says it."""
    note: str = ""


class GenAI:
    """The conventions as `gen_ai.*` attributes, by the customs of one instrumentation or of nobody in particular."""

    prefixes: tuple[str, ...] = ()
    keys = SHARED_KEYS | frozenset(
        (
            *PROVIDER,
            *OPERATION,
            *HOST,
            *STREAMED,
            *REQUEST_ID,
            *FIRST_CHUNK,
            *FINISH,
            *STATED_COST,
            *(name for names in COUNTS.values() for name in names),
            *("gen_ai.usage.cost.source", RAW, INPUT_DETAILS, OUTPUT_DETAILS, USAGE_METADATA),
            *(MODEL, SERVED, "gen_ai.response.id"),
            *("error.type", "http.response.status_code", "http.request.resend_count"),
            *("traceloop.span.kind", "gen_ai.agent.name", "gen_ai.tool.name"),
        )
    )

    def __init__(self, customs: Customs) -> None:
        self.customs = customs
        self.name = customs.name
        self.note = customs.note

    def claims(self, scope_name: str, name: str, names: frozenset[str]) -> bool:
        scopes = self.customs.scopes
        if scopes and not scope_name.startswith(scopes):
            return False
        return not names.isdisjoint((*PROVIDER, OPERATION[0], MODEL))

    def read(self, span: Span) -> Report | None:
        operation = operation_of(span)
        return None if operation is None else read_call(span, self.customs, operation)

    def step(self, span: Span) -> str | None:
        return step_of(span)


def step_of(span: Span) -> str | None:
    """What kind of step a span is that is no call; None where it is none worth keeping."""
    attributes = span.attributes.named
    if kind := text(attributes.get("traceloop.span.kind")):
        return STEPS.get(kind.lower(), "chain")
    said = text(first(attributes, OPERATION))
    return None if said is None else STEPS.get(said.lower(), "chain")


def operation_of(span: Span) -> str | None:
    """What the call does, None where the span is no call."""
    attributes = span.attributes.named
    if "traceloop.span.kind" in attributes:
        return None
    said = (text(attributes.get(span.attributes.shape.known(names_of).operation)) or "").lower()
    if said in STEPS:
        return None
    operation = _OPERATIONS.get(said, said)
    if operation in _CALLS:
        return operation
    return operation or "chat" if MODEL in attributes or SERVED in attributes else None


def read_call(span: Span, customs: Customs, operation: str, **overriding: Any) -> Report:
    """The report of a span in these names. `overriding` goes to `report_of` instead of what would be read."""
    get, names = span.attributes.named.get, span.attributes.shape.known(names_of)
    provider = overriding.pop("provider", None) or customs.provider or provider_of(span)
    read: dict[str, Any] = {
        "reading": counted(
            span, provider, operation, exclusive=customs.exclusive, thoughts_beside=customs.thoughts_beside
        ),
        "source": customs.source,
        "model_requested": text(get(MODEL)),
        "model_served": text(get(SERVED)),
        "response_id": text(get("gen_ai.response.id")),
        "request_id": text(get(names.request_id)),
        "server_address": text(get("server.address")),
        "streamed": _is_true(get(names.streamed)),
        "time_to_first_chunk_ms": _first_chunk_ms(get(names.first_chunk), customs),
        "finish_reasons": finish_reasons(get(names.finish)),
        "stated_cost_usd": get(names.stated_cost),
        "provider_cost": get("gen_ai.usage.cost.source") == "provider",
    }
    if provider == "bedrock":
        read["model_requested"] = bedrock_model(read["model_requested"])
    read.update(overriding)
    return report_of(span, dialect=customs.name, provider=provider, operation=operation, **read)


def counted(
    span: Span, provider: str, operation: str, *, exclusive: bool = False, thoughts_beside: bool = False
) -> Reading:
    """The usage by the span's own counts or, where it carries the provider's usage object, by that."""
    attributes = span.attributes.named
    values, raw_counts = _counts(attributes, span.attributes.shape.known(names_of))
    if not attributes.keys().isdisjoint(_BROKEN_DOWN):
        printed = _printed_details(attributes)
        for unit, (holder, key) in DETAILS.items():
            values[unit] = count(printed[holder].get(key)) if values.get(unit) is None else values[unit]
    exclusive = exclusive and provider in _LEAVE_CACHE_OUT
    if exclusive:
        values["total"] = None
    if provider == "cohere":
        values["cache_read"] = None
    if attributes.get(OPERATION[0]) == _INTERACTION or (thoughts_beside and provider in _GEMINI):
        values["output"] = _sum(values.get("output"), values.get("reasoning"))
    found = read_counts(Counts(**values), exclusive=exclusive, has_output=operation not in _WITHOUT_OUTPUT)
    reading = Reading(usage=found.usage, usage_raw=raw_counts or None, reason_unread=found.reason)
    if RAW in attributes and (raw := json_object(attributes[RAW])):
        return agreeing(read_usage_object(provider, text(first(attributes, (SERVED, MODEL))), raw), reading)
    return reading


def _printed_details(attributes: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """LangChain's breakdowns of what went in and what came out."""
    whole = json_object(attributes.get(USAGE_METADATA))
    parts = ((INPUT_DETAILS, "input_token_details"), (OUTPUT_DETAILS, "output_token_details"))
    return {name: printed_object(attributes.get(name) or whole.get(part)) for name, part in parts}


def provider_of(span: Span) -> str:
    """The host knows better than the SDK's name: forty providers are called through OpenAI's. Where nobody is named, or
    a framework, the model tells."""
    get, names = span.attributes.named.get, span.attributes.shape.known(names_of)
    return _provider(text(get(names.provider)), text(get(MODEL)), text(get(SERVED)), text(get(names.host)))


@lru_cache(maxsize=1024)
def _provider(named: str | None, asked: str | None, served: str | None, host: str | None) -> str:
    said = provider_named(named, asked, served)
    if said == "google" and (asked or "").startswith(_ON_VERTEX):
        return "google-vertex"
    if said == "openai" and host:
        host = host.split("://", 1)[-1].split("/", 1)[0].split(":", 1)[0]
        return provider_of_host(host) or said
    return said


def finish_reasons(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple([reason for item in values[:8] if (reason := text(item))])


def _sum(one: int | None, other: int | None) -> int | None:
    return one if other is None else (one or 0) + other


def _first_chunk_ms(value: Any, customs: Customs) -> float | None:
    in_ms = customs.first_token_in_ms and isinstance(value, (int, float))
    return milliseconds(value / 1000 if in_ms else value)


def _is_true(value: object) -> bool:
    return value is True or value == "true"


def _counts(attributes: Mapping[str, Any], names: Names) -> tuple[dict[str, int | None], dict[str, Any]]:
    """The counts by unit, by the newest name each came with; and all of them under their names, so that history can be
    read again."""
    raw: dict[str, Any] = {}
    for name in names.counted:
        value = attributes[name]
        if isinstance(value, (int, float)):
            raw[name] = value
        elif isinstance(value, str):
            raw[name] = text(value)
    return {unit: count(attributes[name]) for unit, name in names.counts}, raw
