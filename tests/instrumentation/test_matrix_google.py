"""Every way google-genai asks for a whole answer, over its HTTP clients: as without Outlay, and one span."""

from __future__ import annotations

from typing import Any, Final

import pytest
from google.genai import errors

from tests.instrumentation.beside import Beside
from tests.instrumentation.doubles import settled
from tests.instrumentation.google_ways import EXACT, MODEL, QUESTION, Google, config, seen

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")


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


@every_unary_way
@pytest.mark.parametrize("counts", ["", "cache"])
async def test_an_answered_call_is_one_span_with_googles_counts(
    way: str, counts: str, google: Google, beside: Beside
) -> None:
    async with google.client() as client:

        async def play() -> Any:
            return seen(await UNARY[way](client, counts))

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
            return seen(await UNARY[way](client, "none"))

        call = await beside(play)
    assert call["outlay.cost.status"] == "unpriced"
    assert "outlay.cost.nano_usd" not in call
    assert "gen_ai.usage.input_tokens" not in call


@pytest.mark.parametrize("counts", ["", "none"])
async def test_an_embedding_is_one_span(counts: str, google: Google, beside: Beside) -> None:
    async with google.client() as client:

        async def play() -> Any:
            return seen(await _embed(client, counts))

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
