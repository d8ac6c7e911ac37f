"""OpenAI's websocket APIs over a real socket: a response that is done is a call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from threading import Thread
from typing import Any, Final

import openai
import pytest
from websockets.sync.server import ServerConnection, serve

from tests.instrumentation.clients import both_kinds
from tests.instrumentation.doubles import Receiver, items, settled

AUDIO: Final = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}
TEXT: Final = {
    "input_tokens": 1_000,
    "input_tokens_details": {"cached_tokens": 600},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 1_020,
}


def _realtime(number: int) -> list[dict[str, Any]]:
    response = {"object": "realtime.response", "id": f"resp_{number}", "status": "completed", "output": []}
    return [
        {"type": "response.created", "response": {**response, "status": "in_progress"}},
        {"type": "response.output_text.delta", "delta": '"response.done"'},
        {"type": "response.done", "response": {**response, "usage": AUDIO}},
    ]


def _responses(number: int) -> list[dict[str, Any]]:
    response = {"object": "response", "id": f"resp_{number}", "model": "gpt-4.1", "status": "completed", "output": []}
    return [
        {"type": "response.created", "response": response},
        {"type": "response.completed", "response": {**response, "usage": TEXT}},
    ]


def _serve(connection: ServerConnection) -> None:
    assert connection.request is not None
    is_realtime = "/realtime" in connection.request.path
    if is_realtime:
        session = {"type": "realtime", "model": "gpt-realtime"}
        connection.send(json.dumps({"type": "session.created", "session": session}))
    for number, _ in enumerate(connection, 1):
        for event in _realtime(number) if is_realtime else _responses(number):
            connection.send(json.dumps(event))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve(_serve, "127.0.0.1", 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/v1"
        server.shutdown()
        thread.join()


def _client(url: str, is_async: bool) -> Any:
    kind = openai.AsyncOpenAI if is_async else openai.OpenAI
    return kind(api_key="none", websocket_base_url=url)


async def _enter(manager: Any) -> Any:
    return await manager.__aenter__() if hasattr(manager, "__aenter__") else manager.__enter__()


async def _leave(manager: Any) -> None:
    await settled(
        manager.__aexit__(None, None, None) if hasattr(manager, "__aexit__") else manager.__exit__(None, None, None)
    )


@both_kinds
async def test_every_response_of_a_realtime_connection_is_one_span(
    is_async: bool, url: str, instrumented: Receiver
) -> None:
    client = _client(url, is_async)
    manager = client.realtime.connect(model="gpt-realtime")
    connection = await _enter(manager)
    await settled(connection.recv())
    for _ in range(2):
        await settled(connection.send({"type": "response.create"}))
        assert [(await settled(connection.recv())).type for _ in range(3)][-1] == "response.done"
    await _leave(manager)
    await settled(client.close())
    first, second = instrumented.calls()
    assert (first["gen_ai.response.id"], second["gen_ai.response.id"]) == ("resp_1", "resp_2")
    assert first["gen_ai.response.model"] == "gpt-realtime"
    assert (first["gen_ai.usage.input_tokens"], first["gen_ai.usage.output_tokens"]) == (132, 121)
    # A million tokens: text $4 in, $0.40 cached, $16 out; audio $32 in, $64 out.
    assert first["outlay.cost.nano_usd"] == 55 * 4_000 + 64 * 400 + 13 * 32_000 + 30 * 16_000 + 91 * 64_000


@both_kinds
async def test_a_response_over_a_connection_is_one_span(is_async: bool, url: str, instrumented: Receiver) -> None:
    client = _client(url, is_async)
    if not hasattr(client.responses, "connect"):
        await settled(client.close())
        pytest.skip("this version's responses have no connection")
    manager = client.responses.connect()
    connection = await _enter(manager)
    await settled(connection.send({"type": "response.create", "model": "gpt-4.1", "input": "Hello"}))
    async for event in items(connection):
        if event.type == "response.completed":
            break
    await _leave(manager)
    await settled(client.close())
    call = instrumented.only_call()
    assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == (1_000, 20)
    # GPT-4.1: $2 in, $0.50 cached, $8 out, each a million tokens.
    assert call["outlay.cost.nano_usd"] == 400 * 2_000 + 600 * 500 + 20 * 8_000
