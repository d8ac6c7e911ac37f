"""Every way google-genai makes a call, over its HTTP clients, with every end: as without Outlay, and one span."""

from __future__ import annotations

import asyncio
import gc
import importlib.metadata
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pytest
from google import genai
from google.genai import errors

from tests.instrumentation.beside import Beside, cancelled, played_beside, scene
from tests.instrumentation.doubles import Receiver, items, settled
from tests.instrumentation.google_double import PIECE, GoogleDouble

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
IS_OLD: Final = int(importlib.metadata.version("google-genai").partition(".")[0]) < 3
QUESTION: Final = "Which rivers end in the Black Sea? Name them all."
MODEL: Final = "gemini-2.5-flash"

# Gemini 2.5 Flash: $0.30 in, $0.03 read from the cache, $2.50 out, each a million tokens; 20 are said, 30 thought.
EXACT: Final = {"": 300_000 + 125_000, "cache": 120_000 + 18_000 + 125_000}
"""Nano-USD of a whole answer."""
CUT: Final = {"": 300_000 + 100_000, "cache": 120_000 + 18_000 + 100_000, "none": 13 * 300 + 10 * 2_500}
"""After two chunks: 10 said, 30 thought by Google's counts; without them 49 characters in and 40 out, four a token."""
FIRST: Final = {"": 300_000 + 87_500, "cache": 120_000 + 18_000 + 87_500, "none": 13 * 300 + 5 * 2_500}
"""After one."""


@dataclass(frozen=True, slots=True)
class Google:
    """Gemini as one of the SDK's HTTP clients reaches it."""

    url: str
    double: GoogleDouble
    transport: str

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[Any]:
        """The half of the client that goes over the transport."""
        http: dict[str, Any] = {"base_url": self.url, **options}
        if self.transport == "httpx":
            import httpx
            import httpx2

            http["httpx_async_client"] = (httpx if IS_OLD else httpx2).AsyncClient()
        client = genai.Client(api_key="none", http_options=http)
        yield client if self.transport == "sync" else client.aio
        client.close()
        await client.aio.aclose()
        if self.transport == "httpx":
            await http["httpx_async_client"].aclose()


@pytest.fixture(params=["sync", "httpx", "aiohttp"])
def google(request: pytest.FixtureRequest, google_url: str, google_double: GoogleDouble) -> Google:
    return Google(google_url, google_double, request.param)


@pytest.fixture
def beside(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Beside:
    monkeypatch.setenv("OUTLAY_STRICT", "1")
    return partial(played_beside, receiver, ())


_sessions = itertools.count()


def config(scene: str, **more: Any) -> dict[str, Any]:
    return {"http_options": {"headers": {"x-scene": scene, "x-session": str(next(_sessions))}}, **more}


# Whole answers.


async def _generate(client: Any, setting: str) -> Any:
    return await settled(client.models.generate_content(model=MODEL, contents=QUESTION, config=config(setting)))


async def _chat(client: Any, setting: str) -> Any:
    return await settled(client.chats.create(model=MODEL, config=config(setting)).send_message(QUESTION))


async def _raw(client: Any, setting: str) -> Any:
    asked = config(setting, should_return_http_response=True)
    return await settled(client.models.generate_content(model=MODEL, contents=QUESTION, config=asked))


async def _embed(client: Any, setting: str) -> Any:
    asked = config(setting)
    return await settled(client.models.embed_content(model="gemini-embedding-2", contents=[QUESTION], config=asked))


UNARY: Final = {"generate_content": _generate, "chat": _chat, "raw": _raw}
every_unary_way = pytest.mark.parametrize("way", UNARY)


def _seen(answer: Any) -> Any:
    """What the application has of an answer, but for the time it came at."""
    shown = answer.model_dump(mode="json", exclude={"sdk_http_response": {"headers": {"date", "Date"}}})
    return type(answer), shown


@every_unary_way
@pytest.mark.parametrize("counts", ["", "cache"])
async def test_an_answered_call_is_one_span_with_googles_counts(
    way: str, counts: str, google: Google, beside: Beside
) -> None:
    async with google.client() as client:

        async def play() -> Any:
            return _seen(await UNARY[way](client, counts))

        call = await beside(play)
    assert "error.type" not in call
    assert call["gen_ai.operation.name"] == "generate_content"
    assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == (1_000, 50)
    assert call.get("gen_ai.usage.cache_read.input_tokens", 0) == (600 if counts == "cache" else 0)
    assert call["outlay.cost.status"] == "exact"
    assert call["outlay.cost.nano_usd"] == EXACT[counts]
    assert call["gen_ai.response.id"] == "resp-7"
    assert call["outlay.request.id"] == "req-7"
    assert "outlay.stream.end" not in call


@every_unary_way
async def test_an_answer_without_counts_is_one_span_without_a_price(way: str, google: Google, beside: Beside) -> None:
    async with google.client() as client:

        async def play() -> Any:
            return _seen(await UNARY[way](client, "none"))

        call = await beside(play)
    assert call["outlay.cost.status"] == "unpriced"
    assert "outlay.cost.nano_usd" not in call
    assert "gen_ai.usage.input_tokens" not in call


@pytest.mark.parametrize("counts", ["", "none"])
async def test_an_embedding_is_one_span(counts: str, google: Google, beside: Beside) -> None:
    async with google.client() as client:

        async def play() -> Any:
            return _seen(await _embed(client, counts))

        call = await beside(play)
    assert call["gen_ai.operation.name"] == "embeddings"
    assert call.get("gen_ai.usage.input_tokens") == (None if counts else 1_000)
    assert call["outlay.cost.status"] == ("unpriced" if counts else "exact")


@every_unary_way
@pytest.mark.parametrize(("status", "error"), [("429", errors.ClientError), ("503", errors.ServerError)])
async def test_a_refused_call_is_one_span_that_cost_nothing(
    way: str, status: str, error: type[Exception], google: Google, beside: Beside
) -> None:
    async with google.client() as client:

        async def play() -> Any:
            return await UNARY[way](client, status)

        call = await beside(play, fails=(error,))
    assert call["error.type"] == error.__name__
    assert call["http.response.status_code"] == int(status)
    assert call["outlay.cost.nano_usd"] == 0


# Streams.


async def _generate_stream(client: Any, setting: str) -> Any:
    stream = client.models.generate_content_stream(model=MODEL, contents=QUESTION, config=config(setting))
    return await settled(stream)


async def _chat_stream(client: Any, setting: str) -> Any:
    return await settled(client.chats.create(model=MODEL, config=config(setting)).send_message_stream(QUESTION))


STREAMED: Final = {"generate_content_stream": _generate_stream, "chat stream": _chat_stream}
every_streamed_way = pytest.mark.parametrize("way", STREAMED)
every_count = pytest.mark.parametrize("counts", ["", "cache", "none"], ids=["usage", "cache usage", "no usage"])


@every_streamed_way
@every_count
async def test_a_drained_stream_is_one_span_with_its_last_counts(
    way: str, counts: str, google: Google, beside: Beside
) -> None:
    async with google.client() as client:

        async def play() -> Any:
            stream = await STREAMED[way](client, counts)
            return type(stream), [_seen(chunk) async for chunk in items(stream)]

        call = await beside(play)
    assert call["outlay.stream.end"] == "drained"
    assert call["gen_ai.request.stream"] is True
    assert 0 < call["gen_ai.response.time_to_first_chunk"] < 5
    if counts == "none":
        assert call["outlay.cost.status"] == "estimated"
        # 49 characters in and 80 out, four a token.
        assert call["outlay.cost.nano_usd"] == 13 * 300 + 20 * 2_500
    else:
        assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == (1_000, 50)
        assert call["outlay.cost.nano_usd"] == EXACT[counts]
        assert call["outlay.cost.status"] == "exact"


@every_streamed_way
@every_count
@pytest.mark.parametrize("ends", ["cut", "error"])
async def test_a_stream_that_breaks_is_one_span_with_an_estimated_cost(
    way: str, counts: str, ends: str, google: Google, beside: Beside
) -> None:
    seen: list[Any] = []
    async with google.client() as client:

        async def play() -> None:
            seen.clear()
            async for chunk in items(await STREAMED[way](client, scene(counts, ends))):
                seen.append(chunk.text)

        call = await beside(play, fails=(Exception,))
    assert seen == [PIECE, PIECE]
    assert call["outlay.stream.end"] == "failed"
    assert call["error.type"] in ("ServerError", "RemoteProtocolError", "ClientPayloadError")
    assert call["outlay.cost.status"] == "estimated"
    assert call["outlay.cost.nano_usd"] == CUT[counts]


class Trouble(Exception):
    """The application's own."""


@every_streamed_way
@every_count
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_a_stream_whose_consumer_raises_is_one_span_with_an_estimated_cost(
    way: str, counts: str, google: Google, beside: Beside
) -> None:
    trouble = Trouble("the consumer is out of order")
    async with google.client() as client:

        async def play() -> None:
            async for _ in items(await STREAMED[way](client, scene(counts, "wait"))):
                raise trouble

        async def raises() -> str:
            with pytest.raises(Trouble) as raised:
                await play()
            assert raised.value is trouble
            trouble.__traceback__ = None  # which keeps the frame, and so the stream
            return "raised"

        call = await beside(raises)
    assert call["outlay.stream.end"] == "collected"
    assert "error.type" not in call
    assert call["outlay.cost.status"] == "estimated"
    assert call["outlay.cost.nano_usd"] == FIRST[counts]


@every_streamed_way
@every_count
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_an_abandoned_stream_is_one_span_with_an_estimated_cost(
    way: str, counts: str, google: Google, beside: Beside
) -> None:
    async with google.client() as client:

        async def play() -> str:
            stream = await STREAMED[way](client, scene(counts, "wait"))
            first = await anext(aiter(stream)) if hasattr(stream, "__aiter__") else next(stream)
            return str(first.text)

        gc.disable()  # it ends as soon as it is dropped, not once the collector comes by
        try:
            call = await beside(play)
        finally:
            gc.enable()
    assert call["outlay.stream.end"] == "collected"
    assert call["outlay.cost.status"] == "estimated"
    assert call["outlay.cost.nano_usd"] == FIRST[counts]


async def _close_after_one(way: str, counts: str, google: Google, beside: Beside) -> dict[str, Any]:
    async with google.client() as client:

        async def play() -> str:
            stream = await STREAMED[way](client, scene(counts, "wait"))
            first = await anext(aiter(stream)) if hasattr(stream, "__aiter__") else next(stream)
            await settled(stream.aclose() if hasattr(stream, "aclose") else stream.close())
            return str(first.text)

        return await beside(play)


@every_streamed_way
@every_count
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_a_stream_closed_early_is_one_span_with_an_estimated_cost(
    way: str, counts: str, google: Google, beside: Beside
) -> None:
    call = await _close_after_one(way, counts, google, beside)
    assert "error.type" not in call
    assert call["outlay.cost.status"] == "estimated"
    assert call["outlay.cost.nano_usd"] == FIRST[counts]


@every_streamed_way
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.xfail(reason="streams are generators, and inside one that is closed it looks as if it were dropped")
async def test_a_stream_closed_early_is_told_from_one_that_was_dropped(
    way: str, google: Google, beside: Beside
) -> None:
    assert (await _close_after_one(way, "", google, beside))["outlay.stream.end"] == "closed"


@every_streamed_way
@every_count
@pytest.mark.parametrize("google", ["httpx", "aiohttp"], indirect=True)
async def test_a_cancelled_stream_is_one_span_with_an_estimated_cost(
    way: str, counts: str, google: Google, beside: Beside
) -> None:
    async with google.client() as client:
        play = cancelled(lambda: STREAMED[way](client, scene(counts, "wait")))
        call = await beside(play, fails=(asyncio.CancelledError,))
    assert call["outlay.stream.end"] == "cancelled"
    assert call["outlay.cost.status"] == "estimated"
    assert call["outlay.cost.nano_usd"] == FIRST[counts]
