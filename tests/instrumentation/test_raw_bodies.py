"""Bodies an application takes as they were sent, to pass them on: its bytes, and our reading of them."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any, Final

import pytest
from starlette.responses import Response

from tests.instrumentation.clients import both_kinds
from tests.instrumentation.doubles import Answering, Receiver, settled

USAGE: Final = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
ANSWER: Final = {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4.1", "choices": [], "usage": USAGE}
HEAD: Final = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4.1"}
WORDS: Final = [{**HEAD, "choices": [{"index": 0, "delta": {"content": "Danube "}}]}] * 200
EVENTS: Final = "".join(f"data: {json.dumps(e)}\n\n" for e in [*WORDS, {**HEAD, "choices": [], "usage": USAGE}])
CODINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "identity": lambda body: body,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}
QUESTION: Final[Any] = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Which river?"}]}
Answers = Callable[[Callable[[dict[str, Any]], Response]], Answering]


def answer(body: bytes, coding: str, *, is_stream: bool) -> Callable[[dict[str, Any]], Response]:
    headers = {"content-encoding": coding} if coding != "identity" else {}
    kind = "text/event-stream" if is_stream else "application/json"
    return lambda _: Response(body, media_type=kind, headers=headers)


async def taken(provider: Answering, is_async: bool, take: Callable[[Any, bool], Any], **asked: Any) -> Any:
    """What `take` makes of the undecoded response."""
    if is_async:
        async with provider.async_openai as client:
            manager: Any = client.chat.completions.with_streaming_response.create(**QUESTION, **asked)
            async with manager as response:
                return await settled(take(response.http_response, True))
    with provider.openai as client:
        manager = client.chat.completions.with_streaming_response.create(**QUESTION, **asked)
        with manager as response:
            return await settled(take(response.http_response, False))


async def whole(response: Any, is_async: bool) -> bytes:
    if is_async:
        return b"".join([piece async for piece in response.aiter_raw(chunk_size=64)])
    return b"".join(response.iter_raw(chunk_size=64))


@both_kinds
@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("coding", CODINGS)
async def test_a_body_passed_on_as_it_was_sent_is_read_on_the_side(
    coding: str, is_stream: bool, is_async: bool, answering: Answers, instrumented: Receiver
) -> None:
    body = CODINGS[coding](EVENTS.encode() if is_stream else json.dumps(ANSWER).encode())
    provider = answering(answer(body, coding, is_stream=is_stream))
    asked = {"stream": True} if is_stream else {}
    assert await taken(provider, is_async, whole, **asked) == body
    call = instrumented.only_call()
    assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == (10, 2)
    # $2 a million in, $8 a million out.
    assert (call["outlay.cost.nano_usd"], call["outlay.cost.status"]) == (36_000, "exact")
    assert call.get("outlay.stream.end") == ("drained" if is_stream else None)


@both_kinds
async def test_a_raw_body_that_is_left_early_is_estimated_by_what_came(
    is_async: bool, answering: Answers, instrumented: Receiver
) -> None:
    kept = []  # what is dropped is told apart from what is closed

    async def first(response: Any, is_async: bool) -> bytes:
        pieces = response.aiter_raw(chunk_size=200) if is_async else response.iter_raw(chunk_size=200)
        kept.append(pieces)
        return bytes(await anext(pieces) if is_async else next(pieces))

    provider = answering(answer(EVENTS.encode(), "identity", is_stream=True))
    assert len(await taken(provider, is_async, first, stream=True)) == 200
    call = instrumented.only_call()
    assert (call["outlay.cost.status"], call["outlay.stream.end"]) == ("estimated", "closed")
    assert call["gen_ai.usage.output_tokens"] >= 2  # one `Danube ` at least


@both_kinds
async def test_what_cannot_be_undone_reaches_the_application_all_the_same(
    is_async: bool, answering: Answers, instrumented: Receiver
) -> None:
    body = b"this is not gzip"
    provider = answering(answer(body, "gzip", is_stream=False))
    assert await taken(provider, is_async, whole) == body
    assert instrumented.only_call()["outlay.cost.status"] == "unpriced"


@both_kinds
async def test_a_body_read_decoded_is_read_once(is_async: bool, answering: Answers, instrumented: Receiver) -> None:
    async def read(response: Any, is_async: bool) -> bytes:
        return bytes(await response.aread() if is_async else response.read())

    provider = answering(answer(gzip.compress(json.dumps(ANSWER).encode()), "gzip", is_stream=False))
    assert json.loads(await taken(provider, is_async, read)) == ANSWER
    assert instrumented.only_call()["outlay.cost.nano_usd"] == 36_000
