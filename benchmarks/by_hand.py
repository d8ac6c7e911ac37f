"""What a careful person writes to have Outlay's attributes on a span of their own, for the calls of `sdk_calls`.

It knows the two SDKs, the two models and their prices, and that all goes well: it tells no retry, no refusal, no broken
stream and no service tier. What is known beforehand is set beforehand, the rest is read from the answer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from opentelemetry.trace import Span, SpanKind, Tracer
from sdk_calls import Call, Made

_RATES: Final = {
    "gpt-4o-2024-08-06": {"input": Decimal("2.5"), "cache_read": Decimal("1.25"), "output": Decimal(10)},
    "claude-sonnet-4-6": {
        "input": Decimal(3),
        "cache_read": Decimal("0.3"),
        "cache_write_5m": Decimal("3.75"),
        "cache_write_1h": Decimal(6),
        "output": Decimal(15),
    },
}
"""USD for a million tokens."""
_MILLION: Final = Decimal(1_000_000)


def reading_by_hand(tracer: Tracer, made: Made) -> Call:
    """The call in a span that is given what its answer says."""
    asked = {
        "gen_ai.provider.name": made.sdk,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o" if made.sdk == "openai" else "claude-sonnet-4-6",
        "server.address": f"api.{made.sdk}.com",
    }
    tell = _tell_openai if made.sdk == "openai" else _tell_anthropic
    drain = _drained_openai if made.sdk == "openai" else _drained_anthropic

    def call() -> Any:
        began_ns = time.perf_counter_ns()
        name = f"chat {asked['gen_ai.request.model']}"
        with tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=asked) as span:
            answer = made.create()
            took_ms = (time.perf_counter_ns() - began_ns) / 1e6
            span.set_attribute("http.response.status_code", 200)
            span.set_attribute("outlay.attempts", json.dumps([{"status": 200, "ms": round(took_ms, 3)}]))
            tell(span, drain(span, answer, began_ns) if made.streamed else answer)
        return answer

    return call


def _timed(span: Span, stream: Any, began_ns: int) -> Iterator[Any]:
    """The chunks of a stream; the first one's time and the end are told."""
    span.set_attribute("gen_ai.request.stream", True)
    first_ns = None
    for chunk in stream:
        if first_ns is None:
            first_ns = time.perf_counter_ns()
            span.set_attribute("gen_ai.response.time_to_first_chunk", (first_ns - began_ns) / 1e9)
        yield chunk
    span.set_attribute("outlay.stream.end", "drained")


def _drained_openai(span: Span, stream: Any, began_ns: int) -> Any:
    """The last chunk, which has the usage, with the reason of the one before."""
    last = reason = None
    for chunk in _timed(span, stream, began_ns):
        last = chunk
        if chunk.choices and chunk.choices[0].finish_reason:
            reason = chunk.choices[0].finish_reason
    span.set_attribute("gen_ai.response.finish_reasons", (reason,))
    return last


def _drained_anthropic(span: Span, stream: Any, began_ns: int) -> Any:
    """The opening message, completed by what the end says."""
    message: Any = None
    for event in _timed(span, stream, began_ns):
        if event.type == "message_start":
            message = event.message
        elif event.type == "message_delta":
            message.stop_reason = event.delta.stop_reason
            message.usage.output_tokens = event.usage.output_tokens
    return message


def _tell_openai(span: Span, answer: Any) -> None:
    usage = answer.usage
    given, made, details = usage.prompt_tokens, usage.completion_tokens, usage.prompt_tokens_details
    thought = usage.completion_tokens_details.reasoning_tokens
    if answer.choices:
        span.set_attribute("gen_ai.response.finish_reasons", (answer.choices[0].finish_reason,))
    quantities = {"input": given - details.cached_tokens, "cache_read": details.cached_tokens, "output": made}
    _tell(span, answer, given, made, quantities)
    span.set_attribute("gen_ai.usage.reasoning.output_tokens", thought)


def _tell_anthropic(span: Span, message: Any) -> None:
    usage = message.usage
    written, read = usage.cache_creation, usage.cache_read_input_tokens
    span.set_attribute("gen_ai.response.finish_reasons", (message.stop_reason,))
    span.set_attribute("gen_ai.usage.cache_write.input_tokens", usage.cache_creation_input_tokens)
    given, made = usage.input_tokens, usage.output_tokens
    quantities = {
        "input": given,
        "cache_read": read,
        "cache_write_5m": written.ephemeral_5m_input_tokens,
        "cache_write_1h": written.ephemeral_1h_input_tokens,
        "output": made,
    }
    _tell(span, message, given + read + usage.cache_creation_input_tokens, made, quantities)


def _tell(span: Span, answer: Any, given: int, made: int, quantities: dict[str, int]) -> None:
    rates = _RATES[answer.model]
    costs = {unit: rates[unit] * quantity / _MILLION for unit, quantity in quantities.items() if quantity}
    total = sum(costs.values())
    lines = [
        {"unit": unit, "quantity": quantities[unit], "rate": str(rates[unit]), "per": 1_000_000, "cost_usd": str(cost)}
        for unit, cost in costs.items()
    ]
    attributes = {
        "gen_ai.response.model": answer.model,
        "gen_ai.response.id": answer.id,
        "gen_ai.usage.input_tokens": given,
        "gen_ai.usage.output_tokens": made,
        "gen_ai.usage.cache_read.input_tokens": quantities["cache_read"],
        "outlay.prompt_cache.status": "hit" if quantities["cache_read"] else "none",
        "outlay.usage.raw": json.dumps(answer.usage.to_dict()),
        "outlay.usage": json.dumps(quantities),
        "outlay.cost.status": "exact",
        "outlay.cost.price_id": answer.model,
        "outlay.cost.price_source": "the provider's price list",
        "outlay.cost.lines": json.dumps(lines),
        "outlay.cost.nano_usd": int(total * 1_000_000_000),
        "gen_ai.usage.cost.amount": float(total),
        "gen_ai.usage.cost.currency": "USD",
        "gen_ai.usage.cost.source": "local",
    }
    if getattr(answer, "_request_id", None):
        attributes["outlay.request.id"] = answer._request_id
    span.set_attributes(attributes)
