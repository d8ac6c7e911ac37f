"""Where two spans stand that say the same, and whether they are one call for it.

A chat is 1000 tokens at $2.50 and 100 at $10 a million: $0.0035.
"""

from __future__ import annotations

import httpx2
import pytest

from tests.collector.echoing import ANOTHER_SDK, CHAIN, FRAMEWORK, OURS, SDK, TOOL, at, bills
from tests.collector.sending import BOTH_BACKENDS, Sent, chat, send, stored

pytestmark = BOTH_BACKENDS
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


@pytest.mark.parametrize("parent", [None, 9], ids=["each begins a trace", "both beneath one span"])
@pytest.mark.parametrize("with_id", [True, False])
@pytest.mark.parametrize("turned", [True, False])
async def test_what_another_says_beside_outlay_is_the_call_outlay_saw(
    collector: httpx2.AsyncClient, parent: int | None, with_id: bool, turned: bool
) -> None:
    """An instrumentation that puts nothing under its span of a stream; each of two calls at once joins one of ours."""
    said = chat(**OURS, **({"gen_ai.response.id": "r"} if with_id else {}))
    for n in range(2):
        said = {**said, "gen_ai.response.id": f"r{n}"} if with_id else said
        one = at(10 + n, parent, n, 100 + n, chat(), SDK, trace=1)
        ours = at(20 + n, parent, 5 + n, 90 + n, said, "outlay", trace=1 if parent else 2 + n)
        for span in (ours, one) if turned else (one, ours):
            await send(collector, span)
    assert await bills(collector) == [("0.0035", 2)] * 2


async def test_a_call_outlay_saw_in_another_service_is_another(collector: httpx2.AsyncClient) -> None:
    ours = at(2, None, 5, 90, chat(**OURS), "outlay", trace=2)
    elsewhere = Sent(**{**vars(ours), "resource": {"service.name": "another"}})
    await send(collector, at(1, None, 0, 100, chat(), SDK), elsewhere)
    assert await bills(collector) == [("0.0035", 1)] * 2


@pytest.mark.parametrize("scope", ["outlay", FRAMEWORK])
@pytest.mark.parametrize("turned", [True, False])
async def test_calls_that_failed_in_traces_of_their_own_are_told_of_twice_each(
    collector: httpx2.AsyncClient, scope: str, turned: bool
) -> None:
    said = {name: value for name, value in chat().items() if "usage" not in name} | {"error.type": "RateLimitError"}
    for n in range(2):
        outer, inner = (SDK, "outlay") if scope == "outlay" else (scope, SDK)
        spans = (
            at(1, None, n, 100 + n, said, outer, trace=1 + n),
            at(2, None, 5 + n, 90 + n, said, inner, trace=8 + n),
        )
        for span in reversed(spans) if turned else spans:
            await send(collector, span)
    assert await bills(collector) == [("0", 2)] * 2


@pytest.mark.parametrize("resource", [{}, {"service.name": "unknown_service:python"}])
async def test_a_service_that_nobody_named_may_be_the_one_outlay_was_told(
    collector: httpx2.AsyncClient, resource: dict[str, str]
) -> None:
    ours = at(2, None, 5, 90, chat(**OURS), "outlay", trace=2)
    unnamed = Sent(**{**vars(at(1, None, 0, 100, chat(), "langfuse-sdk")), "resource": resource})
    await send(collector, ours)
    await send(collector, unnamed)
    assert await bills(collector) == [("0.0035", 2)]


async def test_an_id_that_litellm_made_up_does_not_tell_its_span_from_outlays(collector: httpx2.AsyncClient) -> None:
    claude = {"gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-opus-4-8"}
    counts = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
    said = {"gen_ai.operation.name": "chat", **claude, **counts}
    ours = at(2, None, 10, 90, {**said, **OURS, "gen_ai.response.id": "msg_1"}, "outlay", trace=2)
    theirs = {**said, "gen_ai.response.id": "chatcmpl-d6e71d85-2af1-4955-9b99-34075214e200"}
    await send(collector, ours)
    await send(collector, at(1, None, 0, 100, theirs, "litellm"))
    assert await bills(collector) == [("0.0035", 2)]
