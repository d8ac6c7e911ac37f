"""What the application gets is what it would get without Outlay: each way to call, each kind of usage, each end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import outlay
import pytest

from tests.instrumentation.clients import QUESTION, River, anthropic_at, both_kinds, openai_at
from tests.instrumentation.doubles import Receiver, items, settled
from tests.instrumentation.endpoints import Endpoints

USAGES: Final = {"cache": (100, 40, 20), "plain": (100, None, 20), "none": None}


@dataclass(frozen=True, slots=True)
class Api:
    """One resource of one SDK, what to ask it, and what its `parse` calls the form of the answer."""

    name: str
    client: Callable[[str, bool], Any]
    resource: Callable[[Any], Any]
    ask: dict[str, Any]
    form: str


APIS: Final = (
    Api("chat", openai_at, lambda c: c.chat.completions, {"model": "gpt-4.1", "messages": QUESTION}, "response_format"),
    Api("responses", openai_at, lambda c: c.responses, {"model": "gpt-4.1", "input": "?"}, "text_format"),
    Api(
        "messages",
        anthropic_at,
        lambda c: c.messages,
        {"model": "claude-sonnet-4-6", "max_tokens": 300, "messages": QUESTION},
        "output_format",
    ),
)
every_api = pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
WAYS: Final = (
    "create",
    "parse",
    "raw response",
    "streaming response",
    "stream",
    "stream helper",
    "raw stream",
    "lines",
)
every_way = pytest.mark.parametrize("way", WAYS)
every_streamed_way = pytest.mark.parametrize("way", WAYS[4:])


@contextmanager
def instrumented_by(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OUTLAY_STRICT", "1")
    outlay.instrument(endpoint=receiver.url)
    try:
        yield
        receiver.calls()
    finally:
        outlay.uninstrument()


def _shown(value: Any) -> Any:
    """A value as something two of a kind can be compared by: its class and what is in it."""
    dump = getattr(value, "model_dump", None)
    return type(value), dump(mode="json", warnings=False) if dump else value


async def _taken(api: Api, way: str, resource: Any, ask: dict[str, Any], error: Exception | None = None) -> list[Any]:
    """All that the application sees of a call. With an `error` it raises that once a stream has begun."""
    seen: list[Any] = []

    async def take(stream: Any) -> None:
        seen.append(type(stream))
        async for item in items(stream):
            seen.append(_shown(item))
            if error is not None:
                raise error

    if api.name == "chat" and way in ("raw stream", "lines"):
        ask = {**ask, "stream_options": {"include_usage": True}}  # what is taken raw is not Outlay's to change
    if way == "create":
        seen.append(_shown(await settled(resource.create(**ask))))
    elif way == "parse":
        seen.append(_shown(await settled(resource.parse(**ask, **{api.form: River}))))
    elif way == "raw response":
        response = await settled(resource.with_raw_response.create(**ask))
        seen += [type(response), _shown(await settled(response.parse()))]
    elif way == "streaming response":
        async with _Entered(resource.with_streaming_response.create(**ask)) as response:
            seen += [type(response), await settled(response.json())]
    elif way == "stream":
        async with _Entered(await settled(resource.create(**ask, stream=True))) as stream:
            await take(stream)
    elif way == "stream helper":
        async with _Entered(resource.stream(**ask)) as stream:
            await take(stream)
    elif way == "raw stream":
        response = await settled(resource.with_raw_response.create(**ask, stream=True))
        async with _Entered(await settled(response.parse())) as stream:
            await take(stream)
    else:
        async with _Entered(resource.with_streaming_response.create(**ask, stream=True)) as response:
            await take(response.iter_lines())
    return seen


class _Entered:
    """`async with` for managers of both kinds."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager

    async def __aenter__(self) -> Any:
        manager = self._manager
        return await manager.__aenter__() if hasattr(manager, "__aenter__") else manager.__enter__()

    async def __aexit__(self, *error: Any) -> None:
        manager = self._manager
        await manager.__aexit__(*error) if hasattr(manager, "__aexit__") else manager.__exit__(*error)


@every_api
@both_kinds
@every_way
@pytest.mark.parametrize("usage", USAGES)
async def test_the_application_gets_the_same_and_outlay_the_usage(
    api: Api,
    is_async: bool,
    way: str,
    usage: str,
    endpoints: Endpoints,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = api.client(endpoints.url, is_async)
    resource = api.resource(client)
    if way in ("parse", "stream helper") and not hasattr(resource, "parse" if way == "parse" else "stream"):
        pytest.skip(f"not in this version: {way}")
    if way == "parse" and api.name == "messages" and usage == "none":
        pytest.skip("the SDK itself needs the usage")
    ask = {**api.ask, "extra_headers": {"x-usage": usage} if usage != "cache" else {}}
    bare = await _taken(api, way, resource, ask)
    with instrumented_by(receiver, monkeypatch):
        seen = await _taken(api, way, resource, ask)
    await settled(client.close())
    assert seen == bare
    call = receiver.only_call_received()
    counts = ("gen_ai.usage.input_tokens", "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.output_tokens")
    if USAGES[usage] is not None:
        assert tuple(call.get(name) or None for name in counts) == USAGES[usage]
        assert call["outlay.cost.status"] == "exact"
    elif "outlay.stream.end" in call:
        assert call["outlay.cost.status"] == "estimated"
    else:
        assert call["outlay.cost.status"] == "unpriced"
        assert "outlay.cost.nano_usd" not in call


@every_api
@both_kinds
@every_streamed_way
async def test_an_error_of_the_provider_within_a_stream_is_the_same_and_fails_the_call(
    api: Api, is_async: bool, way: str, endpoints: Endpoints, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = api.client(endpoints.url, is_async)
    ask = {**api.ask, "extra_headers": {"x-end": "error"}}
    if way == "lines":  # nobody raises anything: the application reads the error itself
        with instrumented_by(receiver, monkeypatch):
            await _taken(api, way, api.resource(client), ask)
        await settled(client.close())
        call = receiver.only_call_received()
        assert (call["error.type"], call["outlay.stream.end"]) == ("overloaded_error", "failed")
        return

    async def error_of() -> tuple[type, str]:
        with pytest.raises(Exception, match="Overloaded") as raised:
            await _taken(api, way, api.resource(client), ask)
        return type(raised.value), str(raised.value)

    bare = await error_of()
    with instrumented_by(receiver, monkeypatch):
        assert await error_of() == bare
    await settled(client.close())
    call = receiver.only_call_received()
    # Of a body taken raw what is known is what stands in it, not what the SDK makes of that.
    assert call["error.type"] == ("overloaded_error" if way in ("raw stream", "lines") else bare[0].__name__)
    assert call["outlay.stream.end"] == "failed"
    assert call["outlay.cost.status"] == "estimated"


@every_api
@both_kinds
@every_streamed_way
async def test_what_the_caller_raises_within_a_stream_is_the_object_that_leaves(
    api: Api, is_async: bool, way: str, endpoints: Endpoints, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = RuntimeError("the caller has had enough")
    client = api.client(endpoints.url, is_async)
    with instrumented_by(receiver, monkeypatch), pytest.raises(RuntimeError) as raised:
        await _taken(api, way, api.resource(client), api.ask, trouble)
    await settled(client.close())
    assert raised.value is trouble
    call = receiver.only_call_received()
    assert call["outlay.stream.end"] in ("closed", "drained")  # a body of one piece has been read to its end by then
    assert "error.type" not in call


@every_api
@pytest.mark.parametrize("way", WAYS[:4])
async def test_a_call_cancelled_while_it_waits_is_one_span_of_unknown_cost(
    api: Api, way: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(never, "127.0.0.1", 0) as silent:
        client = api.client("http://{}:{}".format(*silent.sockets[0].getsockname()), True)
        resource = api.resource(client)
        if way == "parse" and not hasattr(resource, "parse"):
            pytest.skip(f"not in this version: {way}")
        with instrumented_by(receiver, monkeypatch):
            waiting = asyncio.ensure_future(_taken(api, way, resource, api.ask))
            await asyncio.wait_for(asked.wait(), 60)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await client.close()
    call = receiver.only_call_received()
    assert call["error.type"] == "CancelledError"
    assert call["outlay.cost.status"] == "unpriced"
