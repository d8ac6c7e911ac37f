"""The application's own response cache: what it did, and what a hit avoided."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import outlay
import pytest

from tests.conftest import Provider
from tests.instrumentation.doubles import Receiver

QUESTION: Any = [{"role": "user", "content": "Which rivers end in the Black Sea?"}]
ANSWER: Any = {
    "id": "chatcmpl-kept",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4.1",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "The Danube."}}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
}
AVOIDED_NANO_USD = 2_800_000  # 1,000 x $2 and 100 x $8 a million tokens


class KeptAnswers(httpx2.BaseTransport):
    """A transport that answers everything from what it kept, and says so."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        outlay.cache("hit")
        return httpx2.Response(200, json=ANSWER)


def test_a_hit_told_by_the_transport_costs_nothing_and_says_what_it_avoided(instrumented: Receiver) -> None:
    with httpx2.Client(transport=KeptAnswers(), timeout=60) as http:
        client = openai.OpenAI(api_key="none", base_url="http://cache.invalid/v1", http_client=http)
        assert client.chat.completions.create(model="gpt-4.1", messages=QUESTION).id == "chatcmpl-kept"
    call = instrumented.only_call()
    assert call["outlay.cache.status"] == "hit"
    assert call["outlay.cost.nano_usd"] == 0
    assert call["outlay.cache.avoided_nano_usd"] == AVOIDED_NANO_USD
    assert "gen_ai.usage.input_tokens" not in call


def test_a_block_says_it_for_the_calls_inside(fake_provider: Provider, instrumented: Receiver) -> None:
    with openai.OpenAI(api_key="none", base_url=fake_provider.openai) as client:
        with outlay.cache("miss"):
            client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
            with outlay.cache("bypass"):
                client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
        client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
    missed, bypassed, unsaid = instrumented.calls()
    assert missed["outlay.cache.status"] == "miss"
    assert missed["outlay.cost.nano_usd"] > 0
    assert bypassed["outlay.cache.status"] == "bypass"
    assert "outlay.cache.status" not in unsaid


def test_a_stream_answered_by_a_gateways_cache_costs_nothing(fake_provider: Provider, instrumented: Receiver) -> None:
    with openai.OpenAI(api_key="none", base_url=fake_provider.openai) as client, outlay.cache("hit"):
        for _ in client.chat.completions.create(model="gpt-4.1", messages=QUESTION, stream=True):
            pass
    call = instrumented.only_call()
    assert call["outlay.cost.nano_usd"] == 0
    assert call["outlay.cache.avoided_nano_usd"] > 0


def test_an_unknown_status_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"cache\('hti'\): expected one of hit, miss, bypass \(did you mean hit\?\)"):
        outlay.cache("hti")  # type: ignore[arg-type]
