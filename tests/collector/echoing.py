"""Spans of two instrumentations that tell of one call, or seem to, and what they are billed as."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.collector.sending import NOW_NS, Sent, chat, stored

STARTED = NOW_NS - 60_000_000_000
FRAMEWORK = "openinference.instrumentation.langchain"
GEN = "gen-1770000000-x4nQ9ui2wVbWnx7Z5hVM"
UUID = "chatcmpl-3f2b8c71-9d4e-4a06-b5c8-1e7f0a92d36b"
CLAUDE = {"gen_ai.request.model": "anthropic/claude-sonnet-4.5", "gen_ai.response.model": "anthropic/claude-sonnet-4.5"}
SDK = "opentelemetry.instrumentation.openai_v2"
ANOTHER_SDK = "some.vendor.sdk"
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "ask"}
CHAIN = {"gen_ai.operation.name": "chain"}
OWN = {"app.step": "anything"}
OURS = {"outlay.usage": '{"input":1000,"output":100}', "outlay.cost.nano_usd": 3_500_000, "outlay.cost.status": "exact"}


def at(
    span: int, parent: int | None, from_ms: int, to_ms: int, attributes: dict[str, Any], scope: str, trace: int = 1
) -> Sent:
    return Sent(
        span=span,
        parent=parent,
        trace=trace,
        attributes=attributes,
        scope=scope,
        started_at_ns=STARTED + from_ms * 1_000_000,
        duration_ms=to_ms - from_ms,
    )


def around(between: dict[str, Any], inner: dict[str, Any], outer: dict[str, Any] | None = None) -> tuple[Sent, ...]:
    """A framework's call, a span in it that is no call, and in that an SDK's call."""
    return (
        at(1, None, 0, 100, outer or chat(), FRAMEWORK),
        at(2, 1, 10, 90, between, "app"),
        at(3, 2, 20, 80, inner, SDK),
    )


def moved(span: Sent, trace: int) -> Sent:
    """The same in another trace, seconds from all others."""
    return Sent(**{**vars(span), "trace": trace, "started_at_ns": span.started_at_ns - trace * 2_000_000_000})


async def bills(client: httpx2.AsyncClient) -> list[tuple[str | None, int]]:
    """The cost of each call, and how many reports tell of it."""
    return sorted((call["cost_usd"], len(call["reports"])) for call in await stored(client))


def told(provider: str, response_id: str, **said: Any) -> dict[str, Any]:
    return chat(**{"gen_ai.provider.name": provider, "gen_ai.response.id": response_id, **said})


def in_two_traces(one: dict[str, Any], other: dict[str, Any], scopes: tuple[str, str] = (SDK, "litellm")) -> list[Sent]:
    """Each below a span of its own, so that nothing but the id says that they are one."""
    return [at(1, 8, 10, 90, one, scopes[0], trace=1), at(2, 9, 0, 100, other, scopes[1], trace=2)]
