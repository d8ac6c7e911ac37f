"""Where others have counted wrongly: one response for each way to misread what a call used."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.responses import JUNE, TINY, chunk, completion, generated, message, price, response, written

READING: dict[str, tuple[str, Any, str | None]] = {
    # Sonnet 4.6 at 3 / 3.75 / 0.30 / 15.
    "Anthropic's input leaves out what was cached": (
        "anthropic",
        message("claude-sonnet-4-6", 5, 400, cache_read_input_tokens=128_955, **written(1_253, 0)),
        "0.04940025",
    ),
    # 200 x 1 + 300 x 1.25 + 10,000 x 0.10.
    "three kinds of input have three rates": (
        "anthropic",
        message("claude-haiku-4-5", 200, cache_read_input_tokens=10_000, **written(300, 0)),
        "0.001575",
    ),
    # 100 x 5 + 2,000 x 6.25 + 10,000 x 10 + 50 x 25.
    "a cache write of an hour is dearer than one of five minutes": (
        "anthropic",
        message("claude-opus-5", 100, 50, **written(2_000, 10_000)),
        "0.11425",
    ),
    # 86 x 2.50 + 1,920 x 1.25 + 300 x 10.
    "OpenAI's prompt holds what was cached": (
        "openai",
        completion("gpt-4o", 2_006, 300, prompt={"cached_tokens": 1_920}),
        "0.005615",
    ),
    # 1,000 x 5 + 4,000 x 0.50 + 5,000 x 6.25 + 500 x 30.
    "OpenAI's input holds what was written to the cache, at a rate of its own": (
        "openai",
        response("gpt-5.6-sol", 10_000, 500, cached=4_000, stored=5_000),
        "0.05325",
    ),
    # 6,000 x 1.25 + 4,000 x 0.125 + 500 x 10: writes cost what input does.
    "a cache write of a model without a rate for it costs its input": (
        "openai",
        response("gpt-5.1", 10_000, 500, cached=4_000, stored=5_000),
        "0.013",
    ),
    # 1,000 x 3 + 4,000 x 0.30 + 5,000 x 3.75 + 100 x 15.
    "OpenRouter's prompt holds reads and writes of Anthropic's cache": (
        "openrouter",
        completion(
            "anthropic/claude-sonnet-4.6", 10_000, 100, prompt={"cached_tokens": 4_000, "cache_write_tokens": 5_000}
        ),
        "0.02445",
    ),
    # 10,000 x 3 + 100 x 15.
    "Anthropic's endpoint in OpenAI's format is read as OpenAI's": (
        "anthropic",
        completion("claude-sonnet-4-6", 10_000, 100),
        "0.0315",
    ),
    # 17 x 0.05 + 482 x 0.40.
    "reasoning is a part of the output": (
        "openai",
        completion("gpt-5-nano", 17, 482, completion={"reasoning_tokens": 448}),
        "0.00019365",
    ),
    # 100 x 10.
    "rejected predictions are output": (
        "openai",
        completion("gpt-4o", 0, 100, completion={"rejected_prediction_tokens": 40}),
        "0.001",
    ),
    # (600 + 200) x 0.30 + 400 x 0.03 + (100 + 900) x 2.50.
    "Gemini's candidates leave out thoughts, its prompt the results of tools": (
        "google",
        generated("gemini-2.5-flash", prompt=1_000, cachedContent=400, candidates=100, thoughts=900, toolUsePrompt=200),
        "0.002752",
    ),
    # 1,000 x 0.30 + 900 x 2.50.
    "a count of Gemini's that is left out is none": (
        "google",
        generated("gemini-2.5-flash", prompt=1_000, thoughts=900, total=1_900),
        "0.00255",
    ),
    # 1,000 x 4 + 2,000 x 32 + 300 x 16 + 1,500 x 64.
    "audio has rates of its own in and out": (
        "openai",
        completion("gpt-realtime", 3_000, 1_800, prompt={"audio_tokens": 2_000}, completion={"audio_tokens": 1_500}),
        "0.1688",
    ),
    # 1,000,000 x 0.40.
    "cached audio is not fresh audio": (
        "openai",
        completion(
            "gpt-realtime",
            1_000_000,
            prompt={
                "cached_tokens": 1_000_000,
                "audio_tokens": 1_000_000,
                "cached_tokens_details": {"audio_tokens": 1_000_000},
            },
        ),
        "0.4",
    ),
    # 1,000 x 0.30 + 1,000 x 1 + 100 x 2.50.
    "Gemini hears at another rate than it reads": (
        "google",
        generated(
            "gemini-2.5-flash",
            prompt=2_000,
            candidates=100,
            promptTokensDetails=[
                {"modality": "TEXT", "tokenCount": 1_000},
                {"modality": "AUDIO", "tokenCount": 1_000},
            ],
        ),
        "0.00155",
    ),
    # 1,000,000 x 0.02.
    "a vector costs its input alone, whichever count says it": (
        "openai",
        {"data": [{"embedding": []}], "model": "text-embedding-3-small", "usage": {"total_tokens": 1_000_000}},
        "0.02",
    ),
    # 50 x 5 + 1,000 x 10 + 4,160 x 40.
    "an image model's output is images": (
        "openai",
        {
            "model": "gpt-image-1",
            "data": [{"b64_json": ""}],
            "usage": {
                "input_tokens": 1_050,
                "output_tokens": 4_160,
                "input_tokens_details": {"text_tokens": 50, "image_tokens": 1_000},
            },
        },
        "0.17665",
    ),
    # 100 x 3 + 60 x 15: not 95.
    "Anthropic's stream counts up, and the last count is the count": (
        "anthropic",
        [
            {"type": "message_start", "message": message("claude-sonnet-4-6", 100, 1)},
            *(
                {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": made}}
                for made, stop in ((10, None), (25, None), (60, "end_turn"))
            ),
            {"type": "message_stop"},
        ],
        "0.0012",
    ),
    # 10 x 2.50 + 5 x 10, once.
    "usage in the chunk without choices": ("openai", [chunk("Hi", stop="stop"), chunk(usage=TINY)], "0.000075"),
    "usage in every chunk, and none in the last": (
        "azure",
        [
            chunk("Hi", usage={**TINY, "total_tokens": 10, "completion_tokens": 0}),
            chunk(stop="stop", usage=TINY),
            chunk(),
        ],
        "0.000075",
    ),
    "a stream that was not asked for its usage has none": ("openai", [chunk("Hi"), chunk(stop="stop")], None),
    "a total without its parts is no input": (
        "openai",
        {"model": "gpt-4o", "choices": [], "usage": {"total_tokens": 1_000}},
        None,
    ),
    "more cached than there was is refused, not made zero": (
        "openai",
        completion("gpt-4o", 10, 5, prompt={"cached_tokens": 29}),
        None,
    ),
    "a total that is not its sides is refused": (
        "openai",
        {"model": "gpt-4o", "choices": [], "usage": {**TINY, "total_tokens": 16}},
        None,
    ),
}


@pytest.mark.parametrize("name", READING)
def test_a_response_is_read_for_what_it_used(name: str) -> None:
    provider, body, cost_usd = READING[name]

    out = price({"provider": provider, "at": JUNE, "response": body})

    assert (out["cost_usd"], out["status"]) == (cost_usd, "unpriced" if cost_usd is None else "exact"), out
