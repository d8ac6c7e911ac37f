"""Calls the application reports itself, and those its own cache answered."""

from __future__ import annotations

from typing import Any

import openai
import outlay
import pytest
from outlay.model import Usage

from tests.conftest import Provider
from tests.instrumentation.doubles import Receiver

RESPONSE = {
    "id": "chatcmpl-7",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Danube"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
}


def test_a_recorded_response_is_priced_like_any_call(instrumented: Receiver) -> None:
    with outlay.context(feature="batch"):
        outlay.record(provider="openai", response=RESPONSE, request={"model": "gpt-4o", "messages": []}, duration_s=1.5)
    call = instrumented.only_call()
    # 1000 x $2.50 + 100 x $10.00 a million
    assert call["outlay.cost.nano_usd"] == 2_500_000 + 1_000_000
    assert call["gen_ai.request.model"] == "gpt-4o"
    assert call["gen_ai.response.id"] == "chatcmpl-7"
    assert call["outlay.feature"] == "batch"


def test_the_provider_is_told_from_the_response(fake_provider: Provider, instrumented: Receiver) -> None:
    outlay.record(response=openai.types.chat.ChatCompletion.model_validate(RESPONSE))
    assert instrumented.only_call()["gen_ai.provider.name"] == "openai"


def test_a_response_of_no_known_shape_needs_its_provider_named(instrumented: Receiver) -> None:
    with pytest.raises(ValueError, match="say record\\(provider="):
        outlay.record(response={"answer": "Danube"})
    with pytest.raises(ValueError, match="response is a str"):
        outlay.record(provider="openai", response="Danube")


@pytest.mark.parametrize(
    ("model", "usage", "provider", "avoided"),
    [
        # 1200 x $2.50 + 340 x $10.00 a million
        ("gpt-4o", {"input": 1200, "output": 340}, "openai", 3_000_000 + 3_400_000),
        ("gpt-4o", Usage({"input": 1200, "output": 340}), "openai", 6_400_000),
        ("gpt-4o", {"prompt_tokens": 1200, "completion_tokens": 340, "total_tokens": 1540}, "openai", 6_400_000),
        # 1000 x $3 + 100 x $15 a million
        ("claude-sonnet-4-6", {"input_tokens": 1000, "output_tokens": 100}, "anthropic", 3_000_000 + 1_500_000),
    ],
)
def test_a_cache_hit_costs_nothing_and_says_what_it_avoided(
    model: str, usage: Any, provider: str, avoided: int, instrumented: Receiver
) -> None:
    outlay.cache_hit(model=model, usage=usage)
    call = instrumented.only_call()
    assert call["outlay.cache.status"] == "hit"
    assert call["outlay.cost.nano_usd"] == 0
    assert call["outlay.cache.avoided_nano_usd"] == avoided
    assert call["gen_ai.provider.name"] == provider
    assert "gen_ai.usage.input_tokens" not in call


def test_the_applications_prices_win(instrumented: Receiver, receiver: Receiver) -> None:
    outlay.uninstrument()
    own = {"provider": "openai", "model": "gpt-4o-2024-08-06", "input": 1.0, "output": 2.0}
    outlay.instrument(endpoint=receiver.url, prices=[own])
    outlay.record(provider="openai", response=RESPONSE)
    # 1000 x $1 + 100 x $2 a million
    assert receiver.only_call()["outlay.cost.nano_usd"] == 1_000_000 + 200_000


def test_a_price_that_cannot_be_read_names_itself() -> None:
    with pytest.raises(outlay.ConfigError, match=r"price\[0\]\.input"):
        outlay.instrument(prices=[{"provider": "openai", "model": "m", "input": "cheap"}])
