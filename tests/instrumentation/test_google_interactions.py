"""Google's Interactions API: a client of its own inside google-genai, and calls like any."""

from __future__ import annotations

import asyncio
import gc
import inspect
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import outlay
import pytest
from google import genai
from google.oauth2.credentials import Credentials
from outlay_collector.serving import Server

from tests.instrumentation.clients import both_kinds
from tests.instrumentation.doubles import Receiver, items
from tests.instrumentation.google_double import GoogleDouble
from tests.instrumentation.google_ways import IS_OLD, MODEL, QUESTION

pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning",
    "ignore:.* usage is experimental",
    "ignore:Async interactions client cannot use aiohttp",
)

# Gemini 2.5 Flash: $0.30 in, $0.03 read from the cache, $2.50 out, each a million tokens; 20 are said, 30 thought.
EXACT: Final = {"": 300_000 + 125_000, "cache": 120_000 + 18_000 + 125_000}
CUT: Final = 13 * 300 + 5 * 2_500
"""Of a stream that has said nothing of its counts yet: 49 characters in and 20 out, four a token."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Server(GoogleDouble().app, log_level="critical") as server:
        yield server.url


@asynccontextmanager
async def interactions(url: str, is_async: bool, **options: Any) -> AsyncIterator[Any]:
    client = genai.Client(http_options={"base_url": url}, **(options or {"api_key": "none"}))
    yield client.aio.interactions if is_async else client.interactions
    await client.aio.aclose()
    client.close()


_sessions = itertools.count()


async def create(resource: Any, scene: str, **options: Any) -> Any:
    headers = {"x-scene": scene, "x-session": f"interaction {next(_sessions)}"}
    made = resource.create(model=MODEL, input=QUESTION, extra_headers=headers, **options)
    return await made if inspect.isawaitable(made) else made


@both_kinds
@pytest.mark.parametrize("counts", ["", "cache"])
async def test_an_interaction_is_one_span_with_googles_counts(
    is_async: bool, counts: str, url: str, receiver: Receiver
) -> None:
    async with interactions(url, is_async) as resource:
        without = await create(resource, counts)
        outlay.instrument(endpoint=receiver.url)
        answer = await create(resource, counts)
        call = receiver.only_call()
        outlay.uninstrument()
    assert type(answer) is type(without)
    assert answer.to_dict() == without.to_dict() if IS_OLD else answer.model_dump() == without.model_dump()
    assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == (1_000, 50)
    assert call["outlay.cost.nano_usd"] == EXACT[counts]
    assert call["outlay.cost.status"] == "exact"
    assert call["gen_ai.response.id"] == "int-7"
    assert call["outlay.request.id"] == "req-7"


@both_kinds
async def test_a_raw_answer_is_read_too(is_async: bool, url: str, instrumented: Receiver) -> None:
    async with interactions(url, is_async) as resource:
        await create(resource.with_raw_response, "")
    assert instrumented.only_call()["outlay.cost.nano_usd"] == 425_000


@both_kinds
async def test_a_drained_stream_is_one_span_with_the_counts_of_its_last_event(
    is_async: bool, url: str, receiver: Receiver
) -> None:
    async with interactions(url, is_async) as resource:
        plain = await create(resource, "", stream=True)
        without = [type(event) async for event in items(plain)]
        outlay.instrument(endpoint=receiver.url)
        began = time.perf_counter()
        stream = await create(resource, "", stream=True)
        assert type(stream) is type(plain)
        assert [type(event) async for event in items(stream)] == without
        call = receiver.only_call()
        outlay.uninstrument()
    assert call["outlay.stream.end"] == "drained"
    assert call["outlay.cost.nano_usd"] == EXACT[""]
    assert 0 < call["gen_ai.response.time_to_first_chunk"] < time.perf_counter() - began


@both_kinds
async def test_a_stream_that_breaks_is_one_span_with_an_estimated_cost(
    is_async: bool, url: str, instrumented: Receiver
) -> None:
    async with interactions(url, is_async) as resource:
        stream = await create(resource, "cut", stream=True)
        with pytest.raises(Exception, match=r"onnection|closed"):
            [event async for event in items(stream)]
    call = instrumented.only_call()
    assert call["outlay.stream.end"] == "failed"
    assert call["outlay.cost.status"] == "estimated"
    assert call["outlay.cost.nano_usd"] == CUT


@both_kinds
async def test_a_stream_left_early_is_one_span_with_an_estimated_cost(
    is_async: bool, url: str, instrumented: Receiver
) -> None:
    async with interactions(url, is_async) as resource:
        gc.freeze()  # what is there already needs no sweeping
        stream = await create(resource, "wait", stream=True)
        seen = 0
        async for _ in items(stream):
            seen += 1
            if seen == 3:
                break
        del stream
        for _ in range(40):
            gc.collect()
            await asyncio.sleep(0)
        gc.unfreeze()
    call = instrumented.only_call()
    assert call["outlay.stream.end"] == "collected"
    assert call["outlay.cost.nano_usd"] == CUT


@both_kinds
async def test_a_refused_interaction_cost_nothing(is_async: bool, url: str, receiver: Receiver) -> None:
    raised = []
    async with interactions(url, is_async) as resource:
        for is_watched in (False, True):
            if is_watched:
                outlay.instrument(endpoint=receiver.url)
            with pytest.raises(Exception, match="invalid argument") as error:
                await create(resource, "400")
            raised.append(error.type)
        call = receiver.only_call()
        outlay.uninstrument()
    assert raised[0] is raised[1]
    assert call["http.response.status_code"] == 400
    assert call["outlay.cost.nano_usd"] == 0


@pytest.mark.skipif(IS_OLD, reason="google-genai 2.0 knows them by their host alone")
async def test_vertexs_interactions_are_its_own(url: str, instrumented: Receiver) -> None:
    vertex = {"vertexai": True, "project": "p-1", "location": "global", "credentials": Credentials("fake")}
    async with interactions(url, False, **vertex) as resource:
        await create(resource, "")
    assert instrumented.only_call()["gen_ai.provider.name"] == "gcp.vertex_ai"


@pytest.mark.skipif(IS_OLD, reason="google-genai 2.0 has none")
async def test_a_decision_is_a_call_and_a_cancellation_is_none(url: str, instrumented: Receiver) -> None:
    client = genai.Client(http_options={"base_url": url}, api_key="none")
    question = {"type": "choice", "instructions": "Which?", "criteria": {"Danube": "that one", "Rhine": "this one"}}
    client.decisions.with_raw_response.create(model=MODEL, input=QUESTION, questions={"which": question})
    client.interactions.with_raw_response.cancel("int-7")
    client.close()
    assert instrumented.only_call()["gen_ai.usage.output_tokens"] == 50
