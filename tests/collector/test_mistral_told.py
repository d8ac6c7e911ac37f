"""Mistral's SDK tells of its calls itself, without an id and in a trace of its own: synthetic, as 1.12.4 was seen to.

A call is 1000 tokens of mistral-large-2512 at $0.50 and 100 at $1.50 a million: $0.00065.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import httpx2
import pytest

from tests.collector.echoing import at, bills
from tests.collector.sending import BOTH_BACKENDS, Sent, send, stored

pytestmark = BOTH_BACKENDS

SDK = "mistralai_sdk_tracer"
OPENLLMETRY = "opentelemetry.instrumentation.mistralai"
MODEL = {"gen_ai.request.model": "mistral-large-2512"}
COUNTED = {**MODEL, "gen_ai.usage.prompt_tokens": 1000, "gen_ai.usage.output_tokens": 100}
THEIRS = {
    **MODEL,
    "gen_ai.system": "MistralAI",
    "llm.request.type": "chat",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}
STREAMED = {**THEIRS, "llm.is_streaming": True}


def own(span: int, attributes: dict[str, Any], *, parent: int | None = None, trace: int = 1, ms: int = 0) -> Sent:
    """The SDK's span: of a stream it is over when the head of the answer has come."""
    return at(span, parent, ms + 10, ms + 30, attributes, SDK, trace)


def theirs(span: int, said: dict[str, Any], *, parent: int | None = None, trace: int = 2, ms: int = 0) -> Sent:
    """An instrumentation's, which nothing is put under."""
    named = {**said, "gen_ai.response.id": f"1ecfb2eb89144df48968ae279308e0e{span}"}
    return at(span, parent, ms, ms + 100, named, OPENLLMETRY, trace)


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_what_the_sdk_says_of_a_call_and_an_instrumentation_with_an_id_is_one_bill(
    collector: httpx2.AsyncClient, order: tuple[int, ...]
) -> None:
    """In whatever order they come, and once more."""
    spans = [own(1, COUNTED), theirs(2, THEIRS), theirs(2, THEIRS)]
    for at_once in order:
        await send(collector, spans[at_once])
    assert await bills(collector) == [("0.00065", 2)]


async def test_so_it_is_where_both_stand_below_a_span_of_the_application(collector: httpx2.AsyncClient) -> None:
    app = at(9, None, 0, 200, {"gen_ai.operation.name": "chain"}, "app", 1)
    await send(collector, own(1, COUNTED, parent=9), theirs(2, THEIRS, parent=9, trace=1), app)
    assert await bills(collector) == [("0.00065", 2)]


async def test_calls_made_at_once_are_a_bill_each(collector: httpx2.AsyncClient) -> None:
    spans = [own(1, COUNTED), own(2, COUNTED, trace=3, ms=2), theirs(3, THEIRS), theirs(4, THEIRS, trace=4, ms=2)]
    await send(collector, *spans)
    assert await bills(collector) == [("0.00065", 2), ("0.00065", 2)]


async def test_calls_that_count_something_else_or_came_later_are_calls_of_their_own(
    collector: httpx2.AsyncClient,
) -> None:
    another = {**COUNTED, "gen_ai.usage.output_tokens": 101}
    await send(collector, own(1, another), own(3, COUNTED, trace=3, ms=500), theirs(2, THEIRS))
    assert [reports for _, reports in await bills(collector)] == [1, 1, 1]


@pytest.mark.parametrize("apart", [False, True])
async def test_a_stream_that_the_sdk_does_not_count_is_the_one_that_was_counted_around_it(
    collector: httpx2.AsyncClient, apart: bool
) -> None:
    spans = [theirs(2, STREAMED), own(1, MODEL)]
    for some in ([spans[0]], [spans[1]]) if apart else (spans,):
        await send(collector, *some)
    assert await bills(collector) == [("0.00065", 2)]


@pytest.mark.parametrize("failed", ["inner", "outer"])
async def test_a_call_that_failed_is_not_the_one_that_was_answered(collector: httpx2.AsyncClient, failed: str) -> None:
    inner, outer = (MODEL, STREAMED)
    if failed == "inner":
        inner = {**MODEL, "error.type": "SDKError"}
    else:
        outer = {**MODEL, "gen_ai.system": "MistralAI", "error.type": "SDKError"}
        inner = COUNTED
    await send(collector, theirs(2, outer), own(1, inner))
    assert len(await stored(collector)) == 2


async def test_an_embedding_is_told_by_the_request_it_is_named_after(collector: httpx2.AsyncClient) -> None:
    said = {"gen_ai.request.model": "mistral-embed"}
    counted = {**said, "gen_ai.usage.prompt_tokens": 1000, "gen_ai.usage.output_tokens": 0}
    span = Sent(**{**vars(own(1, counted)), "name": "embeddings_v1_embeddings_post"})
    uncounted = {**said, "gen_ai.system": "MistralAI", "llm.request.type": "embedding"}
    await send(collector, span, theirs(2, uncounted))
    (call,) = await stored(collector)
    assert (call["operation"], call["cost_usd"], call["cost_status"]) == ("embeddings", "0.0001", "exact")  # $0.10
