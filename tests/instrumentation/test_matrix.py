"""Every way to make a call, sync and async, with every end it can have: one span each, and the right usage in it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import anthropic
import openai
import pytest

from tests.conftest import Provider
from tests.instrumentation.clients import QUESTION, both_kinds
from tests.instrumentation.doubles import Receiver, items, settled


@dataclass(frozen=True, slots=True)
class Api:
    """One resource of one SDK, and what to ask it."""

    name: str
    ask: dict[str, Any]
    ask_raw_stream: dict[str, Any]

    @asynccontextmanager
    async def resource(self, provider: Provider, is_async: bool) -> AsyncIterator[Any]:
        if self.name == "messages":
            kind: Any = anthropic.AsyncAnthropic if is_async else anthropic.Anthropic
            client = kind(api_key="none", base_url=provider.anthropic, max_retries=0)
            found = client.messages
        else:
            kind = openai.AsyncOpenAI if is_async else openai.OpenAI
            client = kind(api_key="none", base_url=provider.openai, max_retries=0)
            found = client.responses if self.name == "responses" else client.chat.completions
        yield found
        await settled(client.close())


APIS: Final = (
    # A stream taken raw is not ours to change: it has to be asked for its usage by the application.
    Api("chat", {"model": "gpt-4.1", "messages": QUESTION}, {"stream_options": {"include_usage": True}}),
    Api("responses", {"model": "gpt-4.1", "input": "Which rivers end in the Black Sea?"}, {}),
    Api("messages", {"model": "claude-sonnet-4-6", "max_tokens": 300, "messages": QUESTION}, {}),
)

Unary = Callable[[Any, dict[str, Any]], Awaitable[Any]]


async def _create(resource: Any, ask: dict[str, Any]) -> Any:
    return await settled(resource.create(**ask))


async def _raw(resource: Any, ask: dict[str, Any]) -> Any:
    return await settled((await settled(resource.with_raw_response.create(**ask))).parse())


async def _streaming_response(resource: Any, ask: dict[str, Any]) -> Any:
    manager = resource.with_streaming_response.create(**ask)
    response = await _enter(manager)
    try:
        return await settled(response.json())
    finally:
        await _exit(manager)


UNARY: Final = {"create": _create, "raw response": _raw, "streaming response": _streaming_response}

Close = Callable[[], Awaitable[Any]]


async def _enter(manager: Any) -> Any:
    return await manager.__aenter__() if hasattr(manager, "__aenter__") else manager.__enter__()


async def _exit(manager: Any) -> None:
    if hasattr(manager, "__aexit__"):
        await manager.__aexit__(None, None, None)
    else:
        manager.__exit__(None, None, None)


async def _stream(resource: Any, ask: dict[str, Any], _: Api) -> tuple[Any, Close]:
    stream = await settled(resource.create(stream=True, **ask))
    return stream, lambda: settled(stream.close())


async def _helper(resource: Any, ask: dict[str, Any], _: Api) -> tuple[Any, Close]:
    manager = resource.stream(**ask)
    return await _enter(manager), lambda: _exit(manager)


async def _raw_stream(resource: Any, ask: dict[str, Any], api: Api) -> tuple[Any, Close]:
    response = await settled(resource.with_raw_response.create(stream=True, **ask, **api.ask_raw_stream))
    stream = await settled(response.parse())
    return stream, lambda: settled(stream.close())


async def _streaming_lines(resource: Any, ask: dict[str, Any], api: Api) -> tuple[Any, Close]:
    manager = resource.with_streaming_response.create(stream=True, **ask, **api.ask_raw_stream)
    response = await _enter(manager)
    return response.iter_lines(), lambda: _exit(manager)


STREAMED: Final = {
    "stream": _stream,
    "stream helper": _helper,
    "raw response": _raw_stream,
    "streaming response": _streaming_lines,
}

every_api = pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
every_unary_way = pytest.mark.parametrize("way", UNARY)
every_streamed_way = pytest.mark.parametrize("way", STREAMED)


def tokens(usage: dict[str, Any]) -> tuple[int, int]:
    """Input, cached included, and output as the provider's log says it sent them."""
    if "prompt_tokens" in usage:
        return usage["prompt_tokens"], usage["completion_tokens"]
    cached = usage.get("cache_read_input_tokens", 0) + usage.get("cache_creation_input_tokens", 0)
    return usage["input_tokens"] + cached, usage["output_tokens"]


def sent(provider: Provider) -> tuple[int, int]:
    (entry,) = provider.log.entries
    assert entry.usage is not None
    return tokens(dict(entry.usage))


def counted(call: dict[str, Any]) -> tuple[int, int]:
    return call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]


@every_api
@both_kinds
@every_unary_way
async def test_an_answered_call_is_one_span_with_the_usage_the_provider_sent(
    api: Api, is_async: bool, way: str, fake_provider: Provider, instrumented: Receiver
) -> None:
    async with api.resource(fake_provider, is_async) as resource:
        answer = await UNARY[way](resource, api.ask)
    call = instrumented.only_call()
    assert counted(call) == sent(fake_provider)
    assert call["outlay.cost.status"] == "exact"
    assert call["gen_ai.response.id"] == (answer["id"] if isinstance(answer, dict) else answer.id)


@every_api
@both_kinds
@every_unary_way
async def test_a_refused_call_is_one_span_that_cost_nothing(
    api: Api, is_async: bool, way: str, fake_provider: Provider, instrumented: Receiver
) -> None:
    async with api.resource(fake_provider, is_async) as resource:
        with pytest.raises((openai.RateLimitError, anthropic.RateLimitError)):
            await UNARY[way](resource, {**api.ask, "extra_headers": {"x-fault": "429"}})
    call = instrumented.only_call()
    assert call["error.type"] == "RateLimitError"
    assert call["http.response.status_code"] == 429
    assert call["outlay.cost.nano_usd"] == 0
    assert "gen_ai.usage.input_tokens" not in call


@every_api
@both_kinds
@every_streamed_way
async def test_a_drained_stream_is_one_span_with_the_usage_of_its_last_event(
    api: Api, is_async: bool, way: str, fake_provider: Provider, instrumented: Receiver
) -> None:
    began = time.perf_counter()
    async with api.resource(fake_provider, is_async) as resource:
        stream, close = await STREAMED[way](resource, api.ask, api)
        seen = [item async for item in items(stream)]
        await close()
    call = instrumented.only_call()
    assert len(seen) > 3
    assert counted(call) == sent(fake_provider)
    assert call["outlay.cost.status"] == "exact"
    assert call["outlay.stream.end"] == "drained"
    assert call["gen_ai.request.stream"] is True
    assert 0 < call["gen_ai.response.time_to_first_chunk"] < time.perf_counter() - began


@every_api
@both_kinds
@every_streamed_way
async def test_a_stream_that_breaks_is_one_span_with_an_estimated_cost(
    api: Api, is_async: bool, way: str, fake_provider: Provider, instrumented: Receiver
) -> None:
    async with api.resource(fake_provider, is_async) as resource:
        ask = {**api.ask, "extra_headers": {"x-fault": "cut=4"}}
        stream, close = await STREAMED[way](resource, ask, api)
        with pytest.raises(Exception, match=r"incomplete|closed|onnection") as broken:
            [item async for item in items(stream)]
        await close()
    call = instrumented.only_call()
    assert call["outlay.stream.end"] == "failed"
    assert call["outlay.cost.status"] == "estimated"
    assert call["outlay.cost.nano_usd"] > 0
    if way != "streaming response":
        # There the SDK decodes the lines itself, and the error is the transport's either way.
        assert call["error.type"] in {type(broken.value).__name__, type(broken.value.__cause__).__name__}


@every_api
@both_kinds
@every_streamed_way
async def test_a_stream_closed_early_is_one_span_with_an_estimated_cost(
    api: Api, is_async: bool, way: str, fake_provider: Provider, instrumented: Receiver
) -> None:
    async with api.resource(fake_provider, is_async) as resource:
        ask = {**api.ask, "extra_headers": {"x-fault": "pace=60"}}
        stream, close = await STREAMED[way](resource, ask, api)
        await anext(items(stream))
        await close()
    call = instrumented.only_call()
    assert call["outlay.stream.end"] == "closed"
    assert call["outlay.cost.status"] == "estimated"
    assert call["outlay.cost.nano_usd"] > 0
    assert "error.type" not in call


async def _sweep() -> None:
    """Collect what was dropped; the event loop closes asynchronous generators of it, which drops more."""
    for _ in range(40):
        gc.collect()
        await asyncio.sleep(0)
    gc.unfreeze()


@every_api
@both_kinds
@every_streamed_way
@pytest.mark.parametrize("taken", [0, 1])
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_abandoned_stream_is_one_span_with_an_estimated_cost(
    api: Api, is_async: bool, way: str, taken: int, fake_provider: Provider, instrumented: Receiver
) -> None:
    async with api.resource(fake_provider, is_async) as resource:
        gc.freeze()  # what is there already needs no sweeping: a full one takes a tenth of a second
        ask = {**api.ask, "extra_headers": {"x-fault": "pace=60"}}
        stream, close = await STREAMED[way](resource, ask, api)
        if taken:
            await anext(items(stream))
        del stream, close
        await _sweep()
    call = instrumented.only_call()
    assert call["outlay.stream.end"] == "collected"
    assert call["outlay.cost.status"] == "estimated"
    assert call["outlay.cost.nano_usd"] > 0


@every_api
@every_streamed_way
async def test_a_cancelled_stream_is_one_span_with_an_estimated_cost(
    api: Api, way: str, fake_provider: Provider, instrumented: Receiver
) -> None:
    async with api.resource(fake_provider, True) as resource:
        ask = {**api.ask, "extra_headers": {"x-fault": "pace=60"}}
        started = asyncio.Event()

        async def consume() -> None:
            stream, _ = await STREAMED[way](resource, ask, api)
            async for _ in items(stream):
                started.set()

        task = asyncio.create_task(consume())
        await started.wait()
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    call = instrumented.only_call()
    assert call["outlay.stream.end"] == "cancelled"
    assert call["outlay.cost.status"] == "estimated"
