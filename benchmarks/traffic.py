"""Calls as applications make them, for benchmarks: some models more than others, some streamed, a few that failed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind
from outlay.attributes import SCOPE
from outlay.emit import AttributeValue, span_attributes, span_name
from outlay.model import Attempt, Attribution, Call, RateLimit, StreamEnd, Usage
from outlay.prices import PriceBook

Attributes = Mapping[str, AttributeValue]

COST_PREFIX: Final = "gen_ai.usage.cost."
_MODELS: Final = (
    ("openai", "gpt-4o-2024-08-06", 8),
    ("openai", "gpt-4o-mini-2024-07-18", 6),
    ("openai", "gpt-4.1-2025-04-14", 4),
    ("openai", "o3-mini-2025-01-31", 2),
    ("anthropic", "claude-sonnet-4-5-20250929", 5),
    ("anthropic", "claude-3-5-haiku-20241022", 3),
    ("google", "gemini-2.5-flash", 3),
    ("google", "gemini-2.5-pro", 1),
)
_FEATURES: Final = ("chat", "search", "summarise", "triage", "translate", "draft")
_SERVICES: Final = ("support-bot", "indexer", "backoffice")
_USERS: Final = 2_000


def calls(number: int, from_ns: int, to_ns: int, seed: int = 7) -> Iterator[Call]:
    """That many calls spread evenly over a window, in the order they started."""
    book, chance = PriceBook.bundled(), random.Random(seed)
    weights = [weight for *_, weight in _MODELS]
    for n in range(number):
        provider, model, _ = chance.choices(_MODELS, weights)[0]
        yield _call(n, provider, model, from_ns + (to_ns - from_ns) * n // number, book, chance)


def _call(n: int, provider: str, model: str, at_ns: int, book: PriceBook, chance: random.Random) -> Call:
    who = Attribution(
        service=chance.choice(_SERVICES),
        environment="prod" if chance.random() < 0.8 else "staging",
        feature=chance.choice(_FEATURES),
        user=f"user-{chance.randrange(_USERS)}",
        tenant=f"tenant-{chance.randrange(12)}",
        session=f"session-{n // 5}",
        tags={"tier": chance.choice(("free", "paid"))},
    )
    made = drawn(provider, model, at_ns, book, chance)
    return replace(made, response_id=f"resp_{n:024x}", request_id=f"req_{n:020x}", attribution=who)


def drawn(provider: str, model: str, at_ns: int, book: PriceBook, chance: random.Random) -> Call:
    """A call as chance has it, by nobody."""
    given, cached, made = chance.randint(20, 4_000), chance.choice((0, 0, 1024, 2048)), chance.randint(5, 900)
    embedding = "embedding" in model
    usage = Usage({"input": given} if embedding else {"input": given, "cache_read": cached, "output": made})
    failed, streamed = chance.random() < 0.02, not embedding and chance.random() < 0.4
    took_ms = chance.lognormvariate(4.5 if embedding else 6.8, 0.7)
    return Call(
        provider=provider,
        operation="embeddings" if embedding else "chat",
        model_requested=model,
        model_served=model,
        server_address=f"api.{provider}.com",
        started_at_ns=at_ns,
        ended_at_ns=at_ns + int(took_ms * 1e6),
        streamed=streamed,
        stream_end=StreamEnd.DRAINED if streamed else None,
        time_to_first_chunk_ms=took_ms / 5 if streamed else None,
        finish_reasons=("stop",),
        http_status=429 if failed else 200,
        error_type="RateLimitError" if failed else None,
        attempts=(Attempt(status=429 if failed else 200, duration_ms=took_ms),),
        usage=usage,
        usage_raw={"prompt_tokens": given + cached, "completion_tokens": made, "total_tokens": given + cached + made},
        cost=book.cost(usage, provider=provider, model=model, at_ns=at_ns),
        rate_limits={"requests": RateLimit(limit=500, remaining=chance.randrange(500), reset_s=1.5)},
    )


def body_of(batch: Sequence[tuple[int, Call]]) -> bytes:
    """The export request of Outlay's client for some calls, each with a number its ids are made from."""
    return _encoded(batch, InstrumentationScope(SCOPE, "0.1.0"), span_attributes)


def conventional_body_of(batch: Sequence[tuple[int, Call]]) -> bytes:
    """The same calls as an instrumentation tells of them that knows the GenAI conventions alone: without a cost."""
    return _encoded(batch, InstrumentationScope("opentelemetry.instrumentation.openai_v2", "2.3"), _conventional)


def _conventional(call: Call) -> dict[str, AttributeValue]:
    ours = ("outlay.", COST_PREFIX)
    return {key: value for key, value in span_attributes(call).items() if not key.startswith(ours)}


def _encoded(
    batch: Sequence[tuple[int, Call]], scope: InstrumentationScope, attributes: Callable[[Call], Attributes]
) -> bytes:
    resource = Resource({"service.name": "bench", "deployment.environment.name": "prod"})
    return encode_spans(
        [
            ReadableSpan(
                name=span_name(call),
                context=SpanContext((n + 1) << 64 | n, n + 1, is_remote=False),
                resource=resource,
                attributes=attributes(call),
                kind=SpanKind.CLIENT,
                start_time=call.started_at_ns,
                end_time=call.ended_at_ns,
                instrumentation_scope=scope,
            )
            for n, call in batch
        ]
    ).SerializeToString()
