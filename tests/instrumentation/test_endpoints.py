"""Every kind of request that OpenAI's and Anthropic's SDKs make and that is billed: one span, with its usage."""

from __future__ import annotations

import json
from typing import Any, Final

import openai
import pytest

from tests.instrumentation.clients import QUESTION, Ask, River, anthropic_at, both_kinds, made, openai_at, read_all
from tests.instrumentation.doubles import Receiver, settled, transport_of
from tests.instrumentation.endpoints import Endpoints

SOUND: Final = ("a.wav", b"RIFF")
PICTURE: Final = ("a.png", b"PNG")


async def _helper(manager: Any) -> None:
    if hasattr(manager, "__aenter__"):
        async with manager as stream:
            assert [event async for event in stream]
    else:
        with manager as stream:
            assert list(stream)


def _post_raw(client: Any) -> Any:
    """What the SDK is asked to hand over as the transport has it."""
    body = {"model": "gpt-4.1", "messages": QUESTION}
    return client.post("/chat/completions", cast_to=transport_of(openai).Response, body=body)


OPENAI: Final[dict[str, tuple[Ask, str, str]]] = {
    "chat": (lambda c: c.chat.completions.create(model="gpt-4.1", messages=QUESTION), "chat", "gpt-4.1"),
    "chat parse": (
        lambda c: c.chat.completions.parse(model="gpt-4.1", messages=QUESTION, response_format=River),
        "chat",
        "gpt-4.1",
    ),
    "chat stream": (
        lambda c: read_all(c.chat.completions.create(model="gpt-4.1", messages=QUESTION, stream=True)),
        "chat",
        "gpt-4.1",
    ),
    "chat stream helper": (
        lambda c: _helper(c.chat.completions.stream(model="gpt-4.1", messages=QUESTION)),
        "chat",
        "gpt-4.1",
    ),
    "responses": (lambda c: c.responses.create(model="gpt-4.1", input="?"), "chat", "gpt-4.1"),
    "responses parse": (lambda c: c.responses.parse(model="gpt-4.1", input="?", text_format=River), "chat", "gpt-4.1"),
    "responses stream": (
        lambda c: read_all(c.responses.create(model="gpt-4.1", input="?", stream=True)),
        "chat",
        "gpt-4.1",
    ),
    "responses stream helper": (lambda c: _helper(c.responses.stream(model="gpt-4.1", input="?")), "chat", "gpt-4.1"),
    "responses compact": (lambda c: c.responses.compact(model="gpt-4.1", input="?"), "chat", "gpt-4.1"),
    "decisions": (
        lambda c: c.decisions.create(model="gpt-4.1", input="?", questions=[{"type": "predicate", "question": "?"}]),
        "chat",
        "gpt-4.1",
    ),
    "beta responses": (lambda c: c.beta.responses.create(model="gpt-4.1", input="?"), "chat", "gpt-4.1"),
    "completions": (
        lambda c: c.completions.create(model="gpt-3.5-turbo-instruct", prompt="?"),
        "text_completion",
        "gpt-3.5-turbo-instruct",
    ),
    "images generate": (
        lambda c: c.images.generate(model="gpt-image-1", prompt="a river"),
        "image_generation",
        "gpt-image-1",
    ),
    "images generate stream": (
        lambda c: read_all(c.images.generate(model="gpt-image-1", prompt="a river", stream=True)),
        "image_generation",
        "gpt-image-1",
    ),
    "images edit": (
        lambda c: c.images.edit(model="gpt-image-1", image=PICTURE, prompt="a river"),
        "image_generation",
        "gpt-image-1",
    ),
    "images edit stream": (
        lambda c: read_all(c.images.edit(model="gpt-image-1", image=PICTURE, prompt="a river", stream=True)),
        "image_generation",
        "gpt-image-1",
    ),
    "transcription": (
        lambda c: c.audio.transcriptions.create(model="gpt-4o-transcribe", file=SOUND),
        "transcription",
        "gpt-4o-transcribe",
    ),
    "transcription stream": (
        lambda c: read_all(c.audio.transcriptions.create(model="gpt-4o-transcribe", file=SOUND, stream=True)),
        "transcription",
        "gpt-4o-transcribe",
    ),
    "translation": (
        lambda c: c.audio.translations.create(model="gpt-4o-transcribe", file=SOUND),
        "transcription",
        "gpt-4o-transcribe",
    ),
    "client post": (
        lambda c: c.post("/chat/completions", cast_to=object, body={"model": "gpt-4.1", "messages": QUESTION}),
        "chat",
        "gpt-4.1",
    ),
    "client post, as the transport has it": (_post_raw, "chat", "gpt-4.1"),
    "client post, a stream as text": (
        lambda c: c.post(
            "/chat/completions",
            cast_to=str,
            body={
                "model": "gpt-4.1",
                "messages": QUESTION,
                "stream": True,
                "stream_options": {"include_usage": True},
            },
        ),
        "chat",
        "gpt-4.1",
    ),
}
ANTHROPIC: Final[dict[str, Ask]] = {
    "messages": lambda c: c.messages.create(model="claude-sonnet-4-6", max_tokens=300, messages=QUESTION),
    "stream": lambda c: read_all(
        c.messages.create(model="claude-sonnet-4-6", max_tokens=300, messages=QUESTION, stream=True)
    ),
    "stream helper": lambda c: _helper(c.messages.stream(model="claude-sonnet-4-6", max_tokens=300, messages=QUESTION)),
    "beta": lambda c: c.beta.messages.create(model="claude-sonnet-4-6", max_tokens=300, messages=QUESTION),
    "beta stream helper": lambda c: _helper(
        c.beta.messages.stream(model="claude-sonnet-4-6", max_tokens=300, messages=QUESTION)
    ),
    "parse": lambda c: c.messages.parse(
        model="claude-sonnet-4-6", max_tokens=300, messages=QUESTION, output_format=River
    ),
    "tool runner": lambda c: c.beta.messages.tool_runner(
        model="claude-sonnet-4-6", max_tokens=300, messages=QUESTION, tools=[]
    ).until_done(),
    "client post": lambda c: c.post(
        "/v1/messages",
        cast_to=object,
        body={"model": "claude-sonnet-4-6", "max_tokens": 300, "messages": QUESTION},
    ),
}


@pytest.mark.parametrize("kind", OPENAI)
@both_kinds
@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_each_billed_request_of_openai_is_one_span_with_its_usage(
    kind: str, is_async: bool, endpoints: Endpoints, instrumented: Receiver
) -> None:
    ask, operation, model = OPENAI[kind]
    await made(openai_at(endpoints.url, is_async), ask)
    call = instrumented.only_call()
    assert call["gen_ai.operation.name"] == operation
    assert call["gen_ai.request.model"] == model
    assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == (100, 20)
    assert call["outlay.cost.nano_usd"] > 0
    if model == "gpt-4.1":
        # $2 in, $0.50 cached and $8 out a million: 60 x 2,000 + 40 x 500 + 20 x 8,000 nano-USD.
        assert call["outlay.cost.nano_usd"] == 300_000
    assert call.get("outlay.stream.end", "drained") == "drained"


@pytest.mark.parametrize("kind", ANTHROPIC)
@both_kinds
async def test_each_billed_request_of_anthropic_is_one_span_with_its_usage(
    kind: str, is_async: bool, endpoints: Endpoints, instrumented: Receiver
) -> None:
    await made(anthropic_at(endpoints.url, is_async), ANTHROPIC[kind])
    call = instrumented.only_call()
    assert call["gen_ai.request.model"] == "claude-sonnet-4-6"
    assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == (100, 20)
    # $3 in, $0.30 from the cache and $15 out a million: 60 x 3,000 + 40 x 300 + 20 x 15,000 nano-USD.
    assert call["outlay.cost.nano_usd"] == 492_000


@pytest.mark.parametrize("encoding", ["float", "base64", None])
@both_kinds
async def test_embeddings_are_billed_for_what_they_read_whatever_form_they_come_in(
    encoding: str | None, is_async: bool, endpoints: Endpoints, instrumented: Receiver
) -> None:
    given = {} if encoding is None else {"encoding_format": encoding}
    client = openai_at(endpoints.url, is_async)
    await made(client, lambda c: c.embeddings.create(model="text-embedding-3-small", input="?", **given))
    call = instrumented.only_call()
    assert call["gen_ai.usage.input_tokens"] == 100
    assert call["outlay.cost.nano_usd"] == 2_000  # $0.02 a million


@both_kinds
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_images_by_the_piece_and_speech_by_the_character(
    is_async: bool, endpoints: Endpoints, instrumented: Receiver
) -> None:
    client = openai_at(endpoints.url, is_async)
    await settled(client.images.create_variation(image=PICTURE, model="dall-e-2"))
    await settled(client.audio.speech.create(model="tts-1", voice="alloy", input="Danube, Dniester"))
    manager = client.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input="Danube, Dniester")
    if is_async:
        async with manager as response:
            assert [piece async for piece in response.iter_bytes()] == [b"ID3"]
    else:
        with manager as response:
            assert list(response.iter_bytes()) == [b"ID3"]
    await settled(client.close())
    _, *speeches = instrumented.calls()
    assert [json.loads(call["outlay.usage"]) for call in speeches] == [{"character": 16}, {"character": 16}]


@both_kinds
async def test_moderation_is_a_call_that_costs_nothing(
    is_async: bool, endpoints: Endpoints, instrumented: Receiver
) -> None:
    await made(openai_at(endpoints.url, is_async), lambda c: c.moderations.create(input="Danube"))
    call = instrumented.only_call()
    assert call["gen_ai.operation.name"] == "moderation"
    assert call["outlay.cost.nano_usd"] == 0
