"""Two instrumentations that tell of one call in different places: one bill. Calls that only look alike: a bill each.

A chat is 1000 tokens at $2.50 and 100 at $10 a million: $0.0035.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import httpx2
import pytest

from tests.collector.echoing import CHAIN, FRAMEWORK, OWN, SDK, TOOL, around, at, bills, moved
from tests.collector.sending import BOTH_BACKENDS, Sent, chat, send, stored

pytestmark = BOTH_BACKENDS


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
