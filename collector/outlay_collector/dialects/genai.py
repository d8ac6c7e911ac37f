"""OpenTelemetry's GenAI conventions, of every vintage, and the instrumentations that keep to them.

Names changed over time (`gen_ai.system`, `prompt_tokens`, `cache_creation` for `cache_write`): `vocabulary` has them.
What an instrumentation does in its own way, and still in these names, is said by its `Customs` (in `customs`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from outlay.providers.base import Reading
from outlay.providers.registry import provider_of_host

from outlay_collector.billing import Report, Source
from outlay_collector.dialects.base import SHARED_KEYS, count, first, milliseconds, newest, text
from outlay_collector.dialects.carried import agreeing, json_object, printed_object, read_usage_object
from outlay_collector.dialects.counts import Counts, reading_of
from outlay_collector.dialects.makers import operation_on_bedrock, provider_named
from outlay_collector.dialects.report import report_of
from outlay_collector.dialects.vocabulary import (
    COUNTS,
    DETAILS,
    FINISH,
    FIRST_CHUNK,
    HOST,
    INPUT_DETAILS,
    KIND,
    KINDS_OF_CALLS,
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
from outlay_collector.model_names import with_maker
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
_ANYWHERE: Final = frozenset({"openai", "google"})
"""Named after an SDK that others, or another of its maker's services, are called through."""
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
            *(*KIND, "gen_ai.agent.name", "gen_ai.tool.name"),
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
    if kind := text(attributes.get(span.attributes.shape.known(names_of).kind)):
        return STEPS.get(kind.lower(), "chain")
    said = text(first(attributes, OPERATION))
    return None if said is None else STEPS.get(said.lower(), "chain")


def operation_of(span: Span) -> str | None:
    """What the call does, None where the span is no call."""
    attributes, names = span.attributes.named, span.attributes.shape.known(names_of)
    if names.kind and text(attributes[names.kind]) not in KINDS_OF_CALLS:
        return None
    said = (text(attributes.get(names.operation)) or "").lower()
    if said in STEPS:
        return None
    operation = _OPERATIONS.get(said, said)
    if operation in _CALLS:
        return operation
    return operation or "chat" if MODEL in attributes or SERVED in attributes else None


def read_call(
    span: Span,
    customs: Customs,
    operation: str,
    *,
    provider: str | None = None,
    reading: Reading | None = None,
    source: Source | None = None,
    **overriding: Any,
) -> Report:
    """The report of a span in these names. What is given stands instead of what would be read."""
    attributes, shape = span.attributes.named, span.attributes.shape
    names = shape.known(names_of)
    provider = provider or customs.provider or _provider_of(attributes, names)
    said: Any = {part: read(attributes[name]) for part, name, read in shape.known(_parts_of)}
    said["provider"], said["operation"] = provider, operation
    if customs.first_token_in_ms and said.get("time_to_first_chunk_ms") is not None:
        said["time_to_first_chunk_ms"] /= 1000
    if provider == "bedrock":
        said["model_requested"] = model = with_maker(said.get("model_requested"))
        said["operation"] = operation = operation_on_bedrock(operation, model)
    said.update(overriding)
    return report_of(
        span,
        said,
        dialect=customs.name,
        reading=reading or _counted(attributes, names, provider, operation, customs.exclusive, customs.thoughts_beside),
        source=source or customs.source,
        stated_cost_usd=attributes.get(names.stated_cost),
        provider_cost=attributes.get("gen_ai.usage.cost.source") == "provider",
    )


def counted(span: Span, provider: str, operation: str) -> Reading:
    """The usage by the span's own counts or, where it carries the provider's usage object, by that."""
    return _counted(span.attributes.named, span.attributes.shape.known(names_of), provider, operation)


def _counted(
    attributes: Mapping[str, Any],
    names: Names,
    provider: str,
    operation: str,
    exclusive: bool = False,
    thoughts_beside: bool = False,
) -> Reading:
    values, raw_counts = _counts(attributes, names)
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
    has_output = operation not in _WITHOUT_OUTPUT
    reading = reading_of(Counts(**values), raw_counts, exclusive=exclusive, has_output=has_output)
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
    return _provider_of(span.attributes.named, span.attributes.shape.known(names_of))


def _provider_of(attributes: Mapping[str, Any], names: Names) -> str:
    get = attributes.get
    return _provider(text(get(names.provider)), text(get(MODEL)), text(get(SERVED)), text(get(names.host)))


@lru_cache(maxsize=1024)
def _provider(named: str | None, asked: str | None, served: str | None, host: str | None) -> str:
    said = provider_named(named, asked, served)
    if said == "google" and (asked or "").startswith(_ON_VERTEX):
        return "google-vertex"
    if said in _ANYWHERE and host:
        host = host.split("://", 1)[-1].split("/", 1)[0].split(":", 1)[0]
        return provider_of_host(host) or said
    return said


def finish_reasons(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple([reason for item in values[:8] if (reason := text(item))])


def _sum(one: int | None, other: int | None) -> int | None:
    return one if other is None else (one or 0) + other


def _is_true(value: object) -> bool:
    return value is True or value == "true"


_PARTS: Final[tuple[tuple[str, tuple[str, ...], Callable[[Any], Any]], ...]] = (
    ("model_requested", (MODEL,), text),
    ("model_served", (SERVED,), text),
    ("response_id", ("gen_ai.response.id",), text),
    ("request_id", REQUEST_ID, text),
    ("server_address", ("server.address",), text),
    ("streamed", STREAMED, _is_true),
    ("time_to_first_chunk_ms", FIRST_CHUNK, milliseconds),
    ("finish_reasons", FINISH, finish_reasons),
)
"""What a span says of its call, in `Said`'s words, under which names, and how it is read."""


def _parts_of(names: frozenset[str]) -> tuple[tuple[str, str, Callable[[Any], Any]], ...]:
    """Those that a span with these attributes says."""
    return tuple((part, name, read) for part, synonyms, read in _PARTS if (name := newest(synonyms, names)))


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
