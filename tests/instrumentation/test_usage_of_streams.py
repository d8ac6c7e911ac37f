"""OpenAI's chat streams say what they used only where they are asked: Outlay asks, and nobody else notices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import outlay
import pytest
from starlette.responses import JSONResponse, Response

from tests.conftest import Provider
from tests.instrumentation.doubles import Answer, Answering, Receiver, sse

QUESTION: Any = [{"role": "user", "content": "Which rivers end in the Black Sea? Name two."}]


def chunks(body: dict[str, Any]) -> Response:
    """`Rhine` and `Danube` as GPT-4o sends them, 14 tokens in and 3 out."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-08-06"}
    asked = (body.get("stream_options") or {}).get("include_usage")
    said = [
        {**head, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
        for word in ("Danube", ", Dnieper")
    ]
    said.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if asked:
        for chunk in said:
            chunk["usage"] = None
        said.append({**head, "choices": [], "usage": {"prompt_tokens": 14, "completion_tokens": 3, "total_tokens": 17}})
    return sse(*said)


def taken(client: openai.OpenAI, **options: Any) -> list[dict[str, Any]]:
    stream = client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True, **options)
    return [chunk.to_dict() for chunk in stream]


def test_the_caller_gets_the_very_chunks_it_would_have_got(
    answering: Callable[[Answer], Answering], receiver: Receiver
) -> None:
    provider = answering(chunks)
    with provider.openai as client:
        without_us = taken(client)
        outlay.instrument(endpoint=receiver.url)
        with_us = taken(client)
        call = receiver.only_call()
        outlay.uninstrument()
    assert with_us == without_us
    assert [body.get("stream_options") for body in provider.bodies] == [None, {"include_usage": True}]
    assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == (14, 3)
    # 14 x $2.50 + 3 x $10.00 a million
    assert call["outlay.cost.nano_usd"] == 35_000 + 30_000


async def test_an_async_caller_gets_them_too(answering: Callable[[Answer], Answering], instrumented: Receiver) -> None:
    async with answering(chunks).async_openai as client:
        stream = await client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True)
        seen = [chunk async for chunk in stream]
    assert [bool(chunk.choices) for chunk in seen] == [True, True, True]
    assert instrumented.only_call()["outlay.cost.nano_usd"] == 65_000


def test_a_caller_that_asks_for_the_usage_gets_it(
    answering: Callable[[Answer], Answering], instrumented: Receiver
) -> None:
    with answering(chunks).openai as client:
        seen = taken(client, stream_options={"include_usage": True})
    assert seen[-1]["usage"]["total_tokens"] == 17
    assert instrumented.only_call()["outlay.cost.nano_usd"] == 65_000


def test_a_server_that_does_not_know_the_option_gets_the_request_as_it_was_made(
    answering: Callable[[Answer], Answering], instrumented: Receiver
) -> None:
    def old(body: dict[str, Any]) -> Response:
        if "stream_options" in body:
            message = {"error": {"message": "Unrecognized request argument supplied: stream_options"}}
            return JSONResponse(message, status_code=400)
        return chunks(body)

    provider = answering(old)
    with provider.openai as client:
        assert len(taken(client)) == 3
        assert len(taken(client)) == 3
    first, second = instrumented.calls()
    assert ["stream_options" in body for body in provider.bodies] == [True, False, False]
    assert first["outlay.cost.status"] == second["outlay.cost.status"] == "estimated"
    # 44 characters of question are 11 tokens, 15 of answer 4: 11 x $2.50 + 4 x $10.00 a million
    assert second["outlay.cost.nano_usd"] == 27_500 + 40_000
    assert "error.type" not in first


def test_any_other_refusal_is_the_callers(answering: Callable[[Answer], Answering], instrumented: Receiver) -> None:
    refusal = {"error": {"message": "messages is too long"}}
    provider = answering(lambda body: JSONResponse(refusal, status_code=400))
    with provider.openai as client, pytest.raises(openai.BadRequestError, match="too long"):
        taken(client)
    assert len(provider.bodies) == 1
    assert instrumented.only_call()["error.type"] == "BadRequestError"


def test_an_error_event_in_the_stream_fails_the_call(
    answering: Callable[[Answer], Answering], instrumented: Receiver
) -> None:
    opening = {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-6",
            "content": [],
            "stop_reason": None,
            "usage": {"input_tokens": 1000, "output_tokens": 1},
        },
    }
    text = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Danube, Dnieper. " * 4}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    provider = answering(lambda body: sse(opening, block, text, error, done=False))
    import anthropic

    with provider.anthropic as client, pytest.raises(anthropic.APIStatusError):
        for _ in client.messages.create(model="claude-sonnet-4-6", max_tokens=300, messages=QUESTION, stream=True):
            pass
    call = instrumented.only_call()
    assert call["outlay.stream.end"] == "failed"
    # 68 characters of answer are 17 tokens; the provider had counted the input: 1000 x $3 + 17 x $15 a million
    assert call["gen_ai.usage.output_tokens"] == 17
    assert call["outlay.cost.nano_usd"] == 3_000_000 + 255_000
    assert call["outlay.cost.status"] == "estimated"


def test_the_stream_is_of_the_class_it_always_was(fake_provider: Provider, instrumented: Receiver) -> None:
    with openai.OpenAI(api_key="none", base_url=fake_provider.openai) as client:
        stream = client.chat.completions.create(model="gpt-4.1", messages=QUESTION, stream=True)
        assert type(stream) is openai.Stream
        with stream as entered:
            assert entered is stream
            assert next(stream).object == "chat.completion.chunk"
            assert [chunk.object for chunk in stream][-1] == "chat.completion.chunk"
            assert list(stream) == []
    assert instrumented.only_call()["outlay.stream.end"] == "drained"
