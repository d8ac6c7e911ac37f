"""watsonx's text generation: counts by result (watsonx.other.60b75831b893). Its chat is read as OpenAI's."""

from __future__ import annotations

from outlay.model import Usage
from outlay.providers.base import Reading
from outlay.providers.counts import attempt, count, usage_of
from outlay.providers.foreign import first_text, has, mappings, texts
from outlay.providers.tiers import served_terms
from outlay.providers.wire import Asked, Body, WireFormat

_COUNTS = ("input_token_count", "generated_token_count")


def fits(body: Body) -> bool:
    return any(has(result, "generated_token_count") for result in mappings(body.get("results")))


def read(body: Body, asked: Asked) -> Reading:
    results = list(mappings(body.get("results")))
    raw = {"results": [{field: result[field] for field in _COUNTS if field in result} for result in results]}

    def usage() -> Usage:
        given, made = ([n for result in results if (n := count(result, field)) is not None] for field in _COUNTS)
        return usage_of({"input": sum(given) if given else None, "output": sum(made) if made else None})

    found, reason = attempt(usage)
    return Reading(
        model_served=first_text(body, "model_id"),
        finish_reasons=texts(*(result.get("stop_reason") for result in results)),
        usage=found,
        usage_raw=raw,
        reason_unread=reason,
        terms=served_terms(asked.request),
    )


WATSONX = WireFormat("watsonx.generation", "watsonx", fits, read)
