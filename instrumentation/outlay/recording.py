"""Calls nobody intercepted: those the application reports itself, and those its own cache answered."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from outlay.guard import shielded
from outlay.installation import runtime
from outlay.model import Call, Usage
from outlay.prices.match import priced_model
from outlay.providers.registry import canonical_provider, reader_for, sniff
from outlay.runtime import Runtime
from outlay.spans import identify
from outlay.units import UNITS

_FAMILIES: Final = (("claude", "anthropic"), ("gemini", "google"), ("mistral", "mistral"), ("command", "cohere"))
"""Whose model it is, by the beginning of its name; the others are taken for OpenAI's."""


def record(*, response: Any, provider: str | None, request: Mapping[str, Any] | None, duration_s: float | None) -> None:
    running = runtime()
    if running is None:
        return
    body = _body(response)
    name = canonical_provider(provider) if provider else sniff(body)
    if name is None:
        raise ValueError("the response does not show whose it is: say record(provider=...)")
    ended_at_ns = time.time_ns()
    record_body(running, name, body, request, ended_at_ns - int((duration_s or 0) * 1e9), ended_at_ns)


@shielded
def record_body(
    running: Runtime,
    provider: str,
    body: Mapping[str, Any],
    request: Mapping[str, Any] | None,
    started_at_ns: int,
    ended_at_ns: int,
) -> None:
    reader = reader_for(provider)
    asked = None if request is None else reader.read_request("", request)
    reading = reader.read_response(asked, body)
    cost = running.book.cost(
        reading.usage,
        provider=provider,
        model=priced_model(reading.model_served, asked.model if asked else None),
        at_ns=started_at_ns,
        terms=reading.terms,
        provider_cost_usd=reading.provider_cost_usd,
        reason_unread=reading.reason_unread,
    )
    call = Call(
        provider=provider,
        operation=asked.operation if asked else "chat",
        model_requested=asked.model if asked else reading.model_served,
        started_at_ns=started_at_ns,
        ended_at_ns=ended_at_ns,
        model_served=reading.model_served,
        response_id=reading.response_id,
        finish_reasons=reading.finish_reasons,
        usage=reading.usage,
        usage_raw=reading.usage_raw,
        reason_unread=reading.reason_unread,
        terms=reading.terms,
        cost=cost,
        attribution=running.attribution(),
    )
    running.report(call, identify())


@shielded
def cache_hit(*, model: str, usage: Usage | Mapping[str, Any], provider: str | None) -> None:
    running = runtime()
    if running is None:
        return
    name = canonical_provider(provider) if provider else _family(model)
    used = _usage(name, model, usage)
    now_ns = time.time_ns()
    call = Call(
        provider=name,
        operation="chat",
        model_requested=model,
        started_at_ns=now_ns,
        ended_at_ns=now_ns,
        cost=running.book.cost(used, provider=name, model=model, at_ns=now_ns),
        attribution=running.attribution(),
    )
    running.report(call.as_cache_hit(), identify())


def _usage(provider: str, model: str, usage: Usage | Mapping[str, Any]) -> Usage | None:
    if isinstance(usage, Usage):
        return usage
    if usage and set(usage) <= set(UNITS):
        return Usage(dict(usage))
    shape: dict[str, Any] = {"choices": []} if "prompt_tokens" in usage else {"type": "message"}
    return reader_for(provider).read_response(None, {**shape, "model": model, "usage": usage}).usage


def _family(model: str) -> str:
    return next((provider for start, provider in _FAMILIES if model.startswith(start)), "openai")


def _body(response: Any) -> Any:
    """The response as the JSON it came as."""
    if isinstance(response, Mapping):
        return response
    dump = getattr(response, "model_dump", None)
    if dump is None:
        raise ValueError(
            f"response is a {type(response).__name__}: expected its JSON body, or an SDK's response object"
        )
    return dump(mode="json", exclude_unset=True)
