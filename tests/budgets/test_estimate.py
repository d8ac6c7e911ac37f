"""Worst cases: what a call may use and cost at most, from its request alone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from outlay.budgets.ceilings import ceiling_of
from outlay.budgets.estimate import Estimator
from outlay.budgets.weigh import size_of, weight
from outlay.prices import PriceBook, read_overrides

from tests.budgets.requests import AT, ENVELOPE, asked, user, worst


def test_a_capped_call_is_its_text_and_its_cap(estimator: Estimator) -> None:
    # the body's three fields, "m" at a half; the message's two, "user" at two; 1,000 letters and spaces at a quarter;
    # 3.5 + 4 + 250 = 257.5, times 1.8 for a provider nobody knows is 463, and 64 around it
    found = worst(estimator, messages=user("abcd " * 200))
    assert found.read == 463 + ENVELOPE
    assert found.tokens == 463 + ENVELOPE + 100
    assert found.nano_usd == (463 + ENVELOPE) * 1_000 + 100 * 10_000


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("The quick brown fox jumps over the lazy dog. " * 20, 180),  # o200k: 10 tokens a sentence
        ("3.14159,2.71828,1.41421," * 40, 640),  # figures: a token each for some
        ("aGVsbG8gd29ybGQhIGJhc2U2NA" * 40, 700),  # base64: 0.7 tokens a character
        ("今日は天気がいいですね" * 40, 440),  # a token a character at most in today's tokenizers
    ],
)
def test_text_weighs_what_its_kind_may_come_to(text: str, least: int) -> None:
    assert weight(text) * 1.35 >= least


def test_everything_said_to_the_model_weighs(estimator: Estimator) -> None:
    plain = worst(estimator, messages=user("hello")).read
    schema = {"type": "json_schema", "json_schema": {"schema": {"properties": {"a_long_field_name": {}}}}}
    assert worst(estimator, messages=user("hello"), response_format=schema).read > plain
    output = {"type": "function_call_output", "call_id": "1", "output": "figures " * 100}
    assert worst(estimator, path="/v1/responses", input=[output]).read > plain + 200
    said = [{"role": "assistant", "content": [{"type": "tool_use", "input": {"city": "Berlin " * 100}}]}]
    assert worst(estimator, messages=said).read > plain + 200


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 40_000}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 40_000}},
        {"inlineData": {"mimeType": "image/png", "data": "A" * 40_000}},
        {"image": {"format": "png", "source": {"bytes": b"A" * 30_000}}},
        {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 40_000},
    ],
)
def test_a_picture_is_the_most_its_model_reads_it_at_and_not_text(estimator: Estimator, part: dict[str, Any]) -> None:
    found = worst(estimator, messages=user(part, {"type": "text", "text": "what is it?"}))
    assert found.size.images == 1
    assert 5_000 <= found.read < 5_200


def test_sound_is_set_aside_at_its_own_rate(estimator: Estimator) -> None:
    part = {"type": "input_audio", "input_audio": {"data": "A" * 40_000, "format": "wav"}}
    found = worst(estimator, messages=user(part))
    # 30,000 bytes at 0.06 tokens: 1,801 at $30 a million
    assert found.size.audio == 1_801
    assert found.nano_usd == (found.read - 1_801) * 1_000 + 1_801 * 30_000 + 100 * 10_000


@pytest.mark.parametrize(
    "more",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"prompt": {"id": "pmpt_1"}},
        {"messages": user({"type": "file", "file": {"file_id": "file-1"}})},
        {"messages": user({"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}})},
        {"messages": user({"fileData": {"mimeType": "video/mp4", "fileUri": "https://youtu.be/x"}})},
        {"tools": [{"type": "web_search"}]},
        {"tools": [{"googleSearch": {}}]},
    ],
)
def test_what_the_body_does_not_show_is_the_whole_window(estimator: Estimator, more: dict[str, Any]) -> None:
    found = worst(estimator, **({"messages": user("hi")} | more))
    assert found.is_open_ended
    assert found.read >= ceiling_of("m").window


@pytest.mark.parametrize(
    ("tools", "uses"),
    [
        ([{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}], 3),
        ([{"type": "web_search"}], 10),
        ([{"type": "function", "function": {"name": "web_search"}}], 0),
        ([{"type": "bash_20250124", "name": "bash"}], 0),
        ([{"functionDeclarations": [{"name": "f"}]}], 0),
    ],
)
def test_a_search_of_the_provider_s_is_set_aside_with_its_fee(
    estimator: Estimator, tools: list[dict[str, Any]], uses: int
) -> None:
    found = worst(estimator, messages=user("hi"), tools=tools)
    assert found.asked.uses == uses
    assert found.fees == uses * 10_000_000  # $10 a thousand


@pytest.mark.parametrize(
    ("ttl", "nano_a_token"), [({}, 1_000), ({"ttl": "5m"}, 2_000), ({"ttl": "1h"}, 4_000)], ids=["none", "5m", "1h"]
)
def test_what_is_marked_for_the_cache_is_set_aside_as_written_to_it(
    estimator: Estimator, ttl: dict[str, str], nano_a_token: int
) -> None:
    part: dict[str, Any] = {"type": "text", "text": "abcd " * 200}
    if ttl:
        part["cache_control"] = {"type": "ephemeral", **ttl}
    found = worst(estimator, messages=user(part))
    assert found.nano_usd == found.read * nano_a_token + 100 * 10_000


def test_a_long_input_is_set_aside_at_the_rate_above_the_threshold(estimator: Estimator) -> None:
    found = worst(estimator, model="long", messages=user("abcd " * 100_000))
    assert found.read > 200_000
    assert found.nano_usd == found.read * 3_000 + 100 * 10_000


@pytest.mark.parametrize(
    ("provider", "model", "last_second", "before", "after"),
    [
        ("openai", "o3", "2025-06-09T23:59:59+00:00", 40_000, 14_000),  # 8 but for the priority tier
        ("deepseek", "deepseek-v4-pro", "2026-11-20T00:59:59+00:00", 1_980, 3_960),  # a Friday's peak hours
        ("deepseek", "deepseek-v4-pro", "2026-11-20T03:59:59+00:00", 3_960, 1_980),
        ("acme", "sale", "2026-07-01T08:59:59+02:00", 10_000, 8_000),
    ],
)
def test_a_new_price_counts_from_its_first_second(
    provider: str, model: str, last_second: str, before: int, after: int
) -> None:
    own: list[dict[str, Any]] = [
        {"provider": "acme", "model": "sale", "input": 0, "output": 10},
        {"provider": "acme", "discount": 0.2, "from": datetime.fromisoformat("2026-07-01T07:00:00+00:00")},
    ]
    estimator = Estimator(PriceBook.bundled().overridden(read_overrides(own, "test")))
    last_ns = int(datetime.fromisoformat(last_second).timestamp()) * 10**9 + 999_999_999

    def output_nano(at_ns: int) -> int:
        """What 1,000 more tokens of output add to the worst case, a token."""
        few, many = (asked({"model": model, "max_tokens": cap, "messages": user("hi")}) for cap in (1_000, 2_000))
        found = [estimator.worst(provider, each, at_ns).nano_usd for each in (few, many)]
        assert None not in found
        return ((found[1] or 0) - (found[0] or 0)) // 1_000

    # as time goes, and after the clock was set back
    found = [output_nano(last_ns + step) for step in (-(10**9), 0, 1, 10**9, 0)]
    assert found == [before, before, after, after, before]


def test_without_a_cap_the_model_s_own_is_set_aside_for_every_answer(estimator: Estimator) -> None:
    request = asked({"model": "gpt-4o", "messages": user("hi"), "n": 3})
    assert estimator.worst("openai", request, AT).open_parts.output == 3 * 16_384  # type: ignore[union-attr]
    best = asked({"model": "gpt-4o", "prompt": ["a", "b"], "n": 1, "best_of": 4, "max_tokens": 10}, "/v1/completions")
    assert estimator.worst("openai", best, AT).tokens >= 2 * 4 * 10
    embedding = asked({"model": "m", "input": "hi"}, "/v1/embeddings")
    assert estimator.worst("acme", embedding, AT).tokens == estimator.worst("acme", embedding, AT).read


def test_free_is_not_the_same_as_without_a_rate_for_it(estimator: Estimator) -> None:
    assert worst(estimator, model="free", messages=user("hi")).nano_usd == 0
    drawn = {"model": "drawn", "input": "hi"}
    assert estimator.worst("acme", asked(drawn, "/v1/embeddings"), AT).nano_usd is None
    assert worst(estimator, model="nobody-prices-this", messages=user("hi")).nano_usd is None


def test_a_body_that_is_no_longer_at_hand_is_taken_by_its_length(estimator: Estimator) -> None:
    request = asked({"model": "m", "max_tokens": 100, "messages": user("abcd " * 200)})
    assert request.prompt.characters == 1_000
    assert estimator.worst("acme", request, AT).read == 1_000 * 0.5 * 1.8 + ENVELOPE


def test_a_walk_survives_what_is_no_request() -> None:
    size = size_of({"messages": [None, 3, {"content": [[["x"]]]}], "input": [1, 2, 3], "tools": "none", "x": b"abc"})
    assert size.text > 0


CUT_SHORT = {"bedrock.invoke_model.a204d929b575", "bedrock.invoke_model.b21ede06e48f"}
"""Recorded with a prompt of 18,131 tokens that was then replaced by "very very long system prompt"."""


def test_the_first_guess_holds_for_every_recorded_call(shared: Path, coverage_script: ModuleType) -> None:
    """But for models named free that were billed after all, and bodies that are not what was sent."""
    folder = shared / "recordings"
    if not folder.is_dir():
        pytest.skip("there are no recordings in the reference data")
    book, passed, held = PriceBook.bundled(), [], 0
    for exchange in coverage_script.exchanges(folder):
        request = coverage_script.request_of(exchange)
        if request is None or exchange["id"] in CUT_SHORT:
            continue
        at_ns = int(coverage_script.moment(exchange).timestamp()) * 10**9
        guess = Estimator(book).worst(exchange["provider"], request, at_ns).nano_usd
        reading = coverage_script.reading_of(exchange, request)
        real = coverage_script.cost_of(book, exchange, request, reading).nano_usd
        if not real or guess is None or (request.model or "").endswith(":free"):
            continue
        held += guess >= real
        if guess < real:
            passed.append(exchange["id"])
    assert passed == []
    assert held > 2_000
