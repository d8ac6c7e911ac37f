"""Every kind of request OpenAI's and Anthropic's SDKs can make: one span where it is billed, none where it is not."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anthropic
import httpx2
import openai
import pytest
from pydantic import BaseModel

from tests.instrumentation.doubles import Receiver, items, settled, transport_of
from tests.instrumentation.endpoints import Endpoints

QUESTION: Final = [{"role": "user", "content": "Which rivers end in the Black Sea?"}]
SOUND: Final = ("a.wav", b"RIFF")
PICTURE: Final = ("a.png", b"PNG")

Ask = Callable[[Any], Any]


class River(BaseModel):
    river: str


async def _all(stream: Any) -> None:
    assert [item async for item in items(await settled(stream))]


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
        lambda c: _all(c.chat.completions.create(model="gpt-4.1", messages=QUESTION, stream=True)),
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
        lambda c: _all(c.responses.create(model="gpt-4.1", input="?", stream=True)),
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
        lambda c: _all(c.images.generate(model="gpt-image-1", prompt="a river", stream=True)),
        "image_generation",
        "gpt-image-1",
    ),
    "images edit": (
        lambda c: c.images.edit(model="gpt-image-1", image=PICTURE, prompt="a river"),
        "image_generation",
        "gpt-image-1",
    ),
    "images edit stream": (
        lambda c: _all(c.images.edit(model="gpt-image-1", image=PICTURE, prompt="a river", stream=True)),
        "image_generation",
        "gpt-image-1",
    ),
    "transcription": (
        lambda c: c.audio.transcriptions.create(model="gpt-4o-transcribe", file=SOUND),
        "transcription",
        "gpt-4o-transcribe",
    ),
    "transcription stream": (
        lambda c: _all(c.audio.transcriptions.create(model="gpt-4o-transcribe", file=SOUND, stream=True)),
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
    "stream": lambda c: _all(
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
both_kinds = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


def _openai(url: str, is_async: bool) -> Any:
    return (openai.AsyncOpenAI if is_async else openai.OpenAI)(api_key="none", base_url=f"{url}/v1", max_retries=0)


def _anthropic(url: str, is_async: bool) -> Any:
    kind = anthropic.AsyncAnthropic if is_async else anthropic.Anthropic
    return kind(api_key="none", base_url=url, max_retries=0)


async def _made(client: Any, ask: Ask) -> Any:
    """What was asked for; a skip where this version of the SDK has no such method."""
    try:
        asked = ask(client)
    except (AttributeError, TypeError) as missing:
        pytest.skip(f"not in this version: {missing}")
    answer = await asked if isinstance(asked, Awaitable) else asked
    await settled(client.close())
    return answer


@pytest.mark.parametrize("kind", OPENAI)
@both_kinds
@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_each_billed_request_of_openai_is_one_span_with_its_usage(
    kind: str, is_async: bool, endpoints: Endpoints, instrumented: Receiver
) -> None:
    ask, operation, model = OPENAI[kind]
    await _made(_openai(endpoints.url, is_async), ask)
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
    await _made(_anthropic(endpoints.url, is_async), ANTHROPIC[kind])
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
    client = _openai(endpoints.url, is_async)
    await _made(client, lambda c: c.embeddings.create(model="text-embedding-3-small", input="?", **given))
    call = instrumented.only_call()
    assert call["gen_ai.usage.input_tokens"] == 100
    assert call["outlay.cost.nano_usd"] == 2_000  # $0.02 a million


@both_kinds
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_images_by_the_piece_and_speech_by_the_character(
    is_async: bool, endpoints: Endpoints, instrumented: Receiver
) -> None:
    client = _openai(endpoints.url, is_async)
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
    await _made(_openai(endpoints.url, is_async), lambda c: c.moderations.create(input="Danube"))
    call = instrumented.only_call()
    assert call["gen_ai.operation.name"] == "moderation"
    assert call["outlay.cost.nano_usd"] == 0


UNBILLED_OPENAI: Final[dict[str, Ask]] = {
    "models": lambda c: c.models.list(),
    "batch created": lambda c: c.batches.create(
        input_file_id="file_1", endpoint="/v1/chat/completions", completion_window="24h"
    ),
    "batch polled": lambda c: c.batches.retrieve("batch_1"),
    "file uploaded": lambda c: c.files.create(file=("a.jsonl", b"{}"), purpose="batch"),
    "file read": lambda c: c.files.content("file_1"),
    "response fetched that was billed when it was made": lambda c: c.responses.retrieve("resp_1"),
    "responses listed": lambda c: c.responses.input_items.list("resp_1"),
    "video downloaded": lambda c: c.videos.download_content("video_1"),
}
UNBILLED_ANTHROPIC: Final[dict[str, Ask]] = {
    "models": lambda c: c.models.list(),
    "tokens counted": lambda c: c.messages.count_tokens(model="claude-sonnet-4-6", messages=QUESTION),
    "batch created": lambda c: c.messages.batches.create(
        requests=[
            {"custom_id": "a", "params": {"model": "claude-sonnet-4-6", "max_tokens": 1, "messages": QUESTION}},
        ]
    ),
    "batch polled": lambda c: c.messages.batches.retrieve("msgbatch_1"),
}


@pytest.mark.parametrize("kind", UNBILLED_OPENAI)
@both_kinds
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_what_openai_does_not_bill_is_no_call(
    kind: str, is_async: bool, endpoints: Endpoints, instrumented: Receiver
) -> None:
    await _made(_openai(endpoints.url, is_async), UNBILLED_OPENAI[kind])
    assert endpoints.requests
    assert instrumented.calls() == []


@pytest.mark.parametrize("kind", UNBILLED_ANTHROPIC)
@both_kinds
async def test_what_anthropic_does_not_bill_is_no_call(
    kind: str, is_async: bool, endpoints: Endpoints, instrumented: Receiver
) -> None:
    await _made(_anthropic(endpoints.url, is_async), UNBILLED_ANTHROPIC[kind])
    assert endpoints.requests
    assert instrumented.calls() == []


@both_kinds
@pytest.mark.parametrize("how", ["retrieve", "raw response", "stream"])
async def test_a_response_made_in_the_background_is_reported_again_once_when_it_is_done(
    how: str, is_async: bool, endpoints: Endpoints, instrumented: Receiver
) -> None:
    client = _openai(endpoints.url, is_async)
    await settled(client.responses.create(model="gpt-4.1", input="?", background=True))
    for _ in range(2):  # whoever polls may come again
        if how == "retrieve":
            await settled(client.responses.retrieve("resp_background"))
        elif how == "stream":
            await _all(client.responses.retrieve("resp_background", stream=True))
        else:
            await settled(client.responses.with_raw_response.retrieve("resp_background"))
    await settled(client.close())
    asked, done = instrumented.calls()
    assert asked["gen_ai.response.id"] == done["gen_ai.response.id"] == "resp_background"  # one call to a collector
    assert asked["outlay.cost.status"] == "unpriced"
    assert asked["outlay.cost.reason"] == "the response is queued"
    assert done["gen_ai.usage.input_tokens"] == 100
    assert done["outlay.cost.nano_usd"] == 300_000
    if how != "stream":
        started_at_ns = instrumented.spans[1].started_at_ns
        assert started_at_ns == 1_790_000_000 * 10**9  # its price is the one of when it was asked for


@both_kinds
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_video_is_counted_by_the_second_when_it_is_done(
    is_async: bool, endpoints: Endpoints, instrumented: Receiver
) -> None:
    client = _openai(endpoints.url, is_async)
    if not hasattr(client, "videos"):
        pytest.skip("not in this version: videos")
    await settled(client.videos.create(model="sora-2", prompt="a river", seconds="4"))
    await settled(client.videos.retrieve("video_1"))
    await settled(client.close())
    asked, done = instrumented.calls()
    assert asked["outlay.cost.reason"] == "the video is queued"
    assert json.loads(done["outlay.usage"]) == {"video_second": "4"}


@pytest.mark.parametrize("path", ["/oauth/token", "/v1/token"])
def test_a_token_fetched_inside_a_call_is_no_attempt_of_it(
    path: str, endpoints: Endpoints, instrumented: Receiver
) -> None:
    def refresh() -> str:
        with httpx2.Client() as http:
            return str(http.post(endpoints.url + path).json()["access_token"])

    client = openai.AzureOpenAI(
        azure_endpoint=endpoints.url,
        api_version="2026-01-01",
        azure_ad_token_provider=refresh,
        max_retries=0,
    )
    with client:
        client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
    call = instrumented.only_call()
    assert endpoints.paths == [path, "/openai/deployments/gpt-4.1/chat/completions"]
    assert [attempt["status"] for attempt in json.loads(call["outlay.attempts"])] == [200]
    assert "http.request.resend_count" not in call
