"""Every span attribute Outlay writes: its name, type, unit, where the name comes from, and how settled it is.

`emit` writes them, the collector's dialect for Outlay reads them back. Names of the GenAI conventions follow the
repository open-telemetry/semantic-conventions-genai as of November 2026; none of those is stable yet, so each name
stands here once. Older names of the same things are the business of the collector's other dialects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

SCOPE: Final = "outlay"
"""The instrumentation scope of every span Outlay makes."""

Type = Literal["string", "int", "double", "boolean", "string[]", "json"]
"""`json` is a string that holds a JSON document."""
Status = Literal["stable", "development", "proposed", "ours"]
"""What the name's owner promises: `proposed` stands in an open pull request, `ours` is Outlay's own."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute; `unit` is a UCUM unit or None where there is none."""

    name: str
    type: Type
    status: Status
    source: str
    unit: str | None = None


ATTRIBUTES: Final[dict[str, Attribute]] = {}
"""All of them by name, families by their prefix (`outlay.tag.`)."""

_GENAI: Final = "semantic-conventions-genai"
_OTEL: Final = "semantic-conventions"
_COST_PROPOSAL: Final = "semantic-conventions-genai#443"


def _declare(name: str, type_: Type, status: Status, source: str, unit: str | None = None) -> str:
    ATTRIBUTES[name] = Attribute(name, type_, status, source, unit)
    return name


def _genai(name: str, type_: Type, unit: str | None = None) -> str:
    return _declare(name, type_, "development", _GENAI, unit)


def _ours(name: str, type_: Type, unit: str | None = None) -> str:
    return _declare(name, type_, "ours", "outlay", unit)


# What was asked for and who answered.
PROVIDER: Final = _genai("gen_ai.provider.name", "string")
OPERATION: Final = _genai("gen_ai.operation.name", "string")
REQUEST_MODEL: Final = _genai("gen_ai.request.model", "string")
REQUEST_STREAM: Final = _genai("gen_ai.request.stream", "boolean")
RESPONSE_MODEL: Final = _genai("gen_ai.response.model", "string")
RESPONSE_ID: Final = _genai("gen_ai.response.id", "string")
FINISH_REASONS: Final = _genai("gen_ai.response.finish_reasons", "string[]")
TIME_TO_FIRST_CHUNK: Final = _genai("gen_ai.response.time_to_first_chunk", "double", "s")
SERVER_ADDRESS: Final = _declare("server.address", "string", "stable", _OTEL)
REQUEST_ID: Final = _ours("outlay.request.id", "string")
TERMS: Final = _ours("outlay.terms", "json")
"""What the price depends on besides model and date, absent for the standard terms; keys as in `model.Terms`."""

# How it went.
ERROR_TYPE: Final = _declare("error.type", "string", "stable", _OTEL)
HTTP_STATUS: Final = _declare("http.response.status_code", "int", "stable", _OTEL)
RESEND_COUNT: Final = _declare("http.request.resend_count", "int", "stable", _OTEL)
ATTEMPTS: Final = _ours("outlay.attempts", "json")
STREAM_END: Final = _ours("outlay.stream.end", "string")
RATE_LIMIT_PREFIX: Final = _ours("outlay.ratelimit.", "double")
"""Family: `outlay.ratelimit.{requests,tokens,...}.{limit,remaining,reset_s}`; the last is in seconds."""

# What it used.
INPUT_TOKENS: Final = _genai("gen_ai.usage.input_tokens", "int", "{token}")
OUTPUT_TOKENS: Final = _genai("gen_ai.usage.output_tokens", "int", "{token}")
CACHE_READ_TOKENS: Final = _genai("gen_ai.usage.cache_read.input_tokens", "int", "{token}")
CACHE_WRITE_TOKENS: Final = _genai("gen_ai.usage.cache_write.input_tokens", "int", "{token}")
REASONING_TOKENS: Final = _genai("gen_ai.usage.reasoning.output_tokens", "int", "{token}")
USAGE: Final = _ours("outlay.usage", "json")
"""Every unit by its name in `outlay.units`, plus `~inferred` and `~models`. The totals above follow from it."""
USAGE_RAW: Final = _ours("outlay.usage.raw", "json")
USAGE_UNREAD: Final = _ours("outlay.usage.unread", "string")
PROMPT_CACHE_STATUS: Final = _ours("outlay.prompt_cache.status", "string")

# What it cost.
COST_AMOUNT: Final = _declare("gen_ai.usage.cost.amount", "double", "proposed", _COST_PROPOSAL, "USD")
COST_CURRENCY: Final = _declare("gen_ai.usage.cost.currency", "string", "proposed", _COST_PROPOSAL)
COST_ORIGIN: Final = _declare("gen_ai.usage.cost.source", "string", "proposed", _COST_PROPOSAL)
COST_NANO_USD: Final = _ours("outlay.cost.nano_usd", "int", "n[USD]")
COST_COMPUTED_NANO_USD: Final = _ours("outlay.cost.computed_nano_usd", "int", "n[USD]")
COST_STATUS: Final = _ours("outlay.cost.status", "string")
COST_REASON: Final = _ours("outlay.cost.reason", "string")
COST_PRICE_ID: Final = _ours("outlay.cost.price_id", "string")
COST_PRICE_SOURCE: Final = _ours("outlay.cost.price_source", "string")
COST_LINES: Final = _ours("outlay.cost.lines", "json")
CACHE_STATUS: Final = _ours("outlay.cache.status", "string")
AVOIDED_NANO_USD: Final = _ours("outlay.cache.avoided_nano_usd", "int", "n[USD]")

# What was said: only where it was asked for.
SYSTEM_INSTRUCTIONS: Final = _genai("gen_ai.system_instructions", "json")
INPUT_MESSAGES: Final = _genai("gen_ai.input.messages", "json")
OUTPUT_MESSAGES: Final = _genai("gen_ai.output.messages", "json")
CONTENT: Final = _ours("outlay.content", "string")
"""`redacted` or `full`: in which form the messages left the process."""

# Who spent it. The first two stand on the resource.
SERVICE: Final = _declare("service.name", "string", "stable", _OTEL)
ENVIRONMENT: Final = _declare("deployment.environment.name", "string", "stable", _OTEL)
USER: Final = _declare("user.id", "string", "development", _OTEL)
SESSION: Final = _declare("session.id", "string", "development", _OTEL)
FEATURE: Final = _ours("outlay.feature", "string")
TENANT: Final = _ours("outlay.tenant", "string")
TAG_PREFIX: Final = _ours("outlay.tag.", "string")
"""Family: one attribute a tag."""
