"""Two instrumentations that tell of one call in different places: one bill. Calls that only look alike: a bill each.

A chat is 1000 tokens at $2.50 and 100 at $10 a million: $0.0035.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import httpx2
import pytest

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, chat, send, stored

STARTED = NOW_NS - 60_000_000_000
FRAMEWORK = "openinference.instrumentation.langchain"
SDK = "opentelemetry.instrumentation.openai_v2"
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "ask"}
CHAIN = {"gen_ai.operation.name": "chain"}
OWN = {"app.step": "anything"}
pytestmark = BOTH_BACKENDS


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


@pytest.mark.parametrize("between", [TOOL, CHAIN, OWN], ids=["tool", "chain", "a span nobody keeps"])
async def test_a_call_told_of_again_around_a_step_is_billed_once_in_any_order(
    collector: httpx2.AsyncClient, between: dict[str, Any]
) -> None:
    for trace, order in enumerate(permutations(around(between, chat())), 1):
        for span in order:
            await send(collector, moved(span, trace))
    assert await bills(collector) == [("0.0035", 2)] * 6


async def test_it_is_billed_once_where_all_comes_in_one_batch_and_then_again(collector: httpx2.AsyncClient) -> None:
    for _ in range(2):
        await send(collector, *around(TOOL, chat()))
    assert await bills(collector) == [("0.0035", 2)]


DIFFERENT = {
    "other counts": chat(**{"gen_ai.usage.input_tokens": 999}),
    "another output": chat(**{"gen_ai.usage.output_tokens": 101}),
    "another model": chat(**{"gen_ai.request.model": "gpt-4.1", "gen_ai.response.model": "gpt-4.1-2025-04-14"}),
    "a smaller model of the family": chat(
        **{"gen_ai.request.model": "gpt-4o-mini", "gen_ai.response.model": "gpt-4o-mini-2024-07-18"}
    ),
    "another kind of operation": chat(**{"gen_ai.operation.name": "embeddings"}),
}


@pytest.mark.parametrize("inner", DIFFERENT.values(), ids=DIFFERENT.keys())
@pytest.mark.parametrize("reverse", [False, True])
async def test_a_call_that_a_tool_makes_within_a_call_is_a_second_call(
    collector: httpx2.AsyncClient, inner: dict[str, Any], reverse: bool
) -> None:
    spans = around(TOOL, inner)
    for span in reversed(spans) if reverse else spans:
        await send(collector, span)
    assert [reports for _, reports in await bills(collector)] == [1, 1]


async def test_response_ids_tell_apart_what_counts_the_same(collector: httpx2.AsyncClient) -> None:
    await send(collector, *around(TOOL, chat(**{"gen_ai.response.id": "b"}), chat(**{"gen_ai.response.id": "a"})))
    assert await bills(collector) == [("0.0035", 1)] * 2


async def test_one_instrumentation_does_not_tell_of_a_call_twice_across_a_tool(collector: httpx2.AsyncClient) -> None:
    outer, step, inner = around(TOOL, chat())
    await send(collector, outer, step, at(3, 2, 20, 80, dict(inner.attributes), FRAMEWORK))
    assert await bills(collector) == [("0.0035", 1)] * 2


async def test_calls_that_do_not_go_on_at_one_time_are_two(collector: httpx2.AsyncClient) -> None:
    first, after = at(1, None, 0, 1000, chat(), FRAMEWORK), at(2, None, 500, 1500, chat(), SDK)
    await send(collector, first, after)
    assert await bills(collector) == [("0.0035", 1)] * 2


async def test_the_inner_of_two_that_follow_a_stream_may_end_a_little_later(collector: httpx2.AsyncClient) -> None:
    for span in (at(1, None, 0, 100, chat(), "langfuse-sdk", trace=1), at(2, None, 20, 146, chat(), SDK, trace=2)):
        await send(collector, span)
    assert await bills(collector) == [("0.0035", 2)]


async def test_two_like_calls_within_one_are_two_and_not_three(collector: httpx2.AsyncClient) -> None:
    """The outer is an echo of one of them; the other is a call whoever else told of it."""
    await send(
        collector,
        at(1, None, 0, 100, chat(), FRAMEWORK),
        at(2, 1, 5, 95, CHAIN, "app"),
        at(3, 2, 10, 40, chat(**{"gen_ai.response.id": "a"}), SDK),
        at(4, 2, 50, 90, chat(**{"gen_ai.response.id": "b"}), SDK),
    )
    assert sorted(reports for _, reports in await bills(collector)) == [1, 2]


async def test_like_calls_one_after_another_are_each_joined_by_its_own_echo(collector: httpx2.AsyncClient) -> None:
    spans = (
        at(1, 9, 0, 100, chat(), FRAMEWORK),
        at(2, 9, 10, 90, chat(**{"gen_ai.response.id": "a"}), SDK),
        at(3, 9, 200, 300, chat(), FRAMEWORK),
        at(4, 9, 210, 290, chat(**{"gen_ai.response.id": "b"}), SDK),
    )
    for trace, order in enumerate(permutations(spans), 1):
        for span in order:
            again = {
                key: f"{value}{trace}" if key == "gen_ai.response.id" else value
                for key, value in span.attributes.items()
            }
            await send(collector, Sent(**{**vars(moved(span, trace)), "attributes": again}))
    assert await bills(collector) == [("0.0035", 2)] * 2 * 24
    told_by = [sorted(report["span_id"] for report in call["reports"]) for call in await stored(collector)]
    assert sorted(told_by) == [[f"{n:016x}" for n in pair] for pair in ((1, 2), (3, 4)) for _ in range(24)]


ANOTHER_SDK = "some.vendor.sdk"
AGENT = {"gen_ai.operation.name": "invoke_agent"}
SIDE_BY_SIDE: dict[str, tuple[Sent, ...]] = {
    "beneath one span": (at(1, 9, 0, 100, chat(), ANOTHER_SDK), at(2, 9, 10, 90, chat(), SDK)),
    "each at the top": (at(1, None, 0, 100, chat(), ANOTHER_SDK), at(2, None, 10, 90, chat(), SDK)),
    "each in its own tool": (
        at(8, 7, 5, 95, TOOL, "app"),
        at(2, 8, 10, 90, chat(), SDK),
        at(6, 7, 0, 105, TOOL, "app"),
        at(1, 6, 0, 100, chat(), ANOTHER_SDK),
        at(7, None, 0, 110, AGENT, "app"),
    ),
    "beneath a tool beside it": (
        at(1, 7, 0, 100, chat(), ANOTHER_SDK),
        at(8, 7, 5, 95, TOOL, "app"),
        at(2, 8, 10, 90, chat(), SDK),
        at(7, None, 0, 110, AGENT, "app"),
    ),
}


@pytest.mark.parametrize("spans", SIDE_BY_SIDE.values(), ids=SIDE_BY_SIDE.keys())
@pytest.mark.parametrize("at_once", [True, False], ids=["in one batch", "one by one"])
async def test_two_sdks_calls_beside_each_other_are_two_though_they_say_the_same(
    collector: httpx2.AsyncClient, spans: tuple[Sent, ...], at_once: bool
) -> None:
    """An agent that asks the same twice at once, in two ways: by what has come neither is above the other."""
    for sent in [spans] if at_once else [(span,) for span in spans]:
        await send(collector, *sent)
    assert await bills(collector) == [("0.0035", 1)] * 2


async def test_of_a_call_beneath_and_one_beside_it_an_echo_is_of_the_one_beneath(
    collector: httpx2.AsyncClient,
) -> None:
    """The one beside it lies nearer in time."""
    await send(
        collector,
        at(1, 9, 0, 100, chat(), FRAMEWORK),
        at(2, 1, 5, 95, CHAIN, "app"),
        at(3, 2, 30, 60, chat(**{"gen_ai.response.id": "a"}), SDK),
        at(4, 9, 1, 20, chat(**{"gen_ai.response.id": "b"}), SDK),
    )
    told_by = [{report["span_id"] for report in call["reports"]} for call in await stored(collector)]
    assert {f"{1:016x}", f"{3:016x}"} in told_by


@pytest.mark.parametrize("scope", [FRAMEWORK, ANOTHER_SDK])
async def test_a_call_that_begins_when_another_is_over_is_another(collector: httpx2.AsyncClient, scope: str) -> None:
    """However soon: the inner of a stream may end late, not begin late."""
    await send(collector, at(1, 9, 0, 100, chat(), scope), at(2, 8, 100, 200, chat(), SDK))
    assert await bills(collector) == [("0.0035", 1)] * 2


@pytest.mark.parametrize("trace", [1, 2])
async def test_spans_of_the_very_same_times_are_not_around_each_other(
    collector: httpx2.AsyncClient, trace: int
) -> None:
    await send(collector, at(1, None, 0, 100, chat(), FRAMEWORK), at(2, None, 0, 100, chat(), SDK, trace=trace))
    assert await bills(collector) == [("0.0035", 1)] * 2


async def test_what_lies_between_two_may_be_missing(collector: httpx2.AsyncClient) -> None:
    """The tool around the inner has come, what the tool is in has not: it may be in the outer."""
    await send(collector, at(8, 7, 5, 95, TOOL, "app"), at(2, 8, 10, 90, chat(), SDK))
    await send(collector, at(1, 6, 0, 100, chat(), ANOTHER_SDK))
    assert await bills(collector) == [("0.0035", 2)]


async def test_a_ring_of_parents_is_no_path(collector: httpx2.AsyncClient) -> None:
    """Each the other's parent, and a third its own: nothing stops, and what is not known is not taken for known."""
    await send(
        collector,
        at(1, 8, 0, 100, chat(), ANOTHER_SDK),
        at(8, 8, 5, 95, TOOL, "app"),
        at(2, 7, 10, 90, chat(), SDK),
        at(7, 6, 5, 95, TOOL, "app"),
        at(6, 7, 5, 95, TOOL, "app"),
    )
    assert await bills(collector) == [("0.0035", 2)]


async def test_three_that_tell_of_one_call_are_one_call(collector: httpx2.AsyncClient) -> None:
    spans = (
        at(1, None, 0, 100, chat(), "litellm"),
        at(2, 1, 1, 99, OWN, "app"),
        at(3, 2, 10, 90, chat(), FRAMEWORK),
        at(4, 3, 11, 89, OWN, "app"),
        at(5, 4, 20, 80, chat(**{"gen_ai.response.id": "a"}), SDK),
    )
    for span in (spans[0], spans[4], spans[2]):
        await send(collector, span)
    assert await bills(collector) == [("0.0035", 3)]


async def test_a_gateway_and_its_client_name_different_providers_of_one_response(collector: httpx2.AsyncClient) -> None:
    """The client thinks it talks to OpenAI; the gateway asks Anthropic, and makes up the id that both see."""
    claude = {"gen_ai.request.model": "claude-sonnet-4-5", "gen_ai.response.model": "claude-sonnet-4-5"}
    seen = chat(**{"gen_ai.response.id": "chatcmpl-7", **claude})
    made = {**seen, "gen_ai.provider.name": "anthropic"}
    for span in (at(5, 4, 20, 80, made, "litellm"), at(1, None, 0, 100, seen, SDK)):
        await send(collector, span)
    assert [reports for _, reports in await bills(collector)] == [2]


COMPATIBLE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the framework leaves the cache out": (
        {"gen_ai.usage.input_tokens": 400},
        {"gen_ai.usage.cache_read.input_tokens": 600},
    ),
    "the framework leaves the reasoning out": (
        {"gen_ai.usage.output_tokens": 60},
        {"gen_ai.usage.reasoning.output_tokens": 40},
    ),
    "the framework says that nothing went in": ({"gen_ai.usage.input_tokens": 0}, {}),
    "the framework names the model as its maker does": ({"gen_ai.request.model": "openai/gpt-4o"}, {}),
    "the framework knows the model's edition alone": ({"gen_ai.request.model": "gpt-4o-2024-08-06"}, {}),
}


@pytest.mark.parametrize("said", COMPATIBLE.values(), ids=COMPATIBLE.keys())
async def test_counts_that_can_be_of_one_call_are(
    collector: httpx2.AsyncClient, said: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    outer, inner = said
    await send(collector, *around(CHAIN, chat(**inner), chat(**outer)))
    (call,) = await stored(collector)
    assert (call["input_tokens"], call["output_tokens"], len(call["reports"])) == (1000, 100, 2)


def apart(**outer: Any) -> tuple[Sent, Sent]:
    """A framework's call and an SDK's, each the beginning of a trace: the application had none."""
    return (
        at(1, None, 0, 100, chat(**outer), FRAMEWORK, trace=1),
        at(2, None, 10, 90, chat(**{"gen_ai.response.id": "a"}), SDK, trace=2),
    )


@pytest.mark.parametrize("scope", [FRAMEWORK, "strands.telemetry.tracer"])
@pytest.mark.parametrize("reverse", [False, True])
async def test_a_frameworks_call_in_a_trace_of_its_own_is_found_by_its_counts(
    collector: httpx2.AsyncClient, reverse: bool, scope: str
) -> None:
    outer, inner = apart()
    outer = Sent(**{**vars(outer), "scope": scope})
    for span in (inner, outer) if reverse else (outer, inner):
        await send(collector, span)
    assert await bills(collector) == [("0.0035", 2)]


def _of_another_service(spans: tuple[Sent, Sent]) -> tuple[Sent, Sent]:
    return spans[0], Sent(**{**vars(spans[1]), "resource": {"service.name": "another"}})


def _of_two_sdks(spans: tuple[Sent, Sent]) -> tuple[Sent, Sent]:
    return Sent(**{**vars(spans[0]), "scope": "openinference.instrumentation.openai"}), spans[1]


def _each_below_something(spans: tuple[Sent, Sent]) -> tuple[Sent, Sent]:
    return Sent(**{**vars(spans[0]), "parent": 8}), Sent(**{**vars(spans[1]), "parent": 9})


@pytest.mark.parametrize("changed", [_of_another_service, _of_two_sdks, _each_below_something])
async def test_like_calls_in_two_traces_are_two_where_more_speaks_for_it(
    collector: httpx2.AsyncClient, changed: Callable[[tuple[Sent, Sent]], tuple[Sent, Sent]]
) -> None:
    await send(collector, *changed(apart()))
    assert await bills(collector) == [("0.0035", 1)] * 2


async def test_a_failure_told_of_twice_in_one_trace_is_one(collector: httpx2.AsyncClient) -> None:
    failed = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "error.type": "RateLimitError",
    }
    await send(collector, *around(OWN, failed, failed))
    assert await bills(collector) == [("0", 2)]


UNCOUNTED = {key: value for key, value in chat().items() if "usage" not in key}


@pytest.mark.parametrize("inner", [chat(), UNCOUNTED], ids=["counted beneath", "counted by nobody"])
async def test_a_frameworks_call_that_counts_nothing_is_the_one_beneath_it(
    collector: httpx2.AsyncClient, inner: dict[str, Any]
) -> None:
    await send(collector, *around(OWN, inner, UNCOUNTED))
    (call,) = await stored(collector)
    assert (call["input_tokens"], len(call["reports"])) == (inner.get("gen_ai.usage.input_tokens"), 2)


async def test_of_others_what_counts_nothing_stands_beside_what_does(collector: httpx2.AsyncClient) -> None:
    """It may be a call of its own that nobody counted: it has no price."""
    outer, step, inner = around(TOOL, chat(), UNCOUNTED)
    await send(collector, Sent(**{**vars(outer), "scope": "some.tracer"}), step, inner)
    calls = await stored(collector)
    assert {call["cost_usd"] for call in calls} == {None, "0.0035"}


@pytest.mark.parametrize("reverse", [False, True])
async def test_an_embedding_told_of_in_two_traces_is_one(collector: httpx2.AsyncClient, reverse: bool) -> None:
    asked = {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "text-embedding-3-small",
        "gen_ai.usage.input_tokens": 1000,
    }
    spans = (
        at(1, None, 0, 100, {**asked, "gen_ai.usage.output_tokens": 0}, "litellm", trace=1),
        at(2, None, 10, 90, asked, SDK, trace=2),
    )
    for span in reversed(spans) if reverse else spans:
        await send(collector, span)
    assert await bills(collector) == [("0.00002", 2)]  # $0.02 for a million
