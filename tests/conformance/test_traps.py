"""Where others have charged the wrong amount: one response for each way to misread or misprice a call.

The responses are made up, in their provider's format; what each costs is worked out by hand beside it, in USD for a
million tokens (a thousand searches), at the prices of the day it is dated. All go through `outlay price`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from outlay_collector.cli import app
from typer.testing import CliRunner

JUNE = "2026-06-15T12:00:00Z"


def message(model: str, given: int, made: int = 0, **usage: Any) -> dict[str, Any]:
    """Anthropic's; `usage` is whatever stands in it beside the two counts."""
    counts = {"input_tokens": given, "output_tokens": made, **usage}
    return {"id": "msg_1", "type": "message", "model": model, "content": [], "usage": counts}


def written(short: int, long: int, total: int | None = None) -> dict[str, Any]:
    """Anthropic's cache writes by lifetime; `total` where it is more than the two."""
    lifetimes = {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long}
    return {"cache_creation_input_tokens": total or short + long, "cache_creation": lifetimes}


def completion(model: str, given: int, made: int = 0, tier: str | None = None, **details: Any) -> dict[str, Any]:
    """OpenAI's chat; `prompt` and `completion` are the breakdowns of the two counts, the rest stands beside them."""
    breakdowns = {f"{side}_tokens_details": details.pop(side) for side in ("prompt", "completion") if side in details}
    usage = {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made, **breakdowns, **details}
    return {"id": "c", "object": "chat.completion", "model": model, "choices": [], "service_tier": tier, "usage": usage}


def response(model: str, given: int, made: int = 0, tier: str | None = None, **rest: Any) -> dict[str, Any]:
    """OpenAI's Responses; `cached` and `stored` are parts of the input, `output` is the list of its items."""
    details = {"cached_tokens": rest.get("cached", 0), "cache_write_tokens": rest.get("stored", 0)}
    usage = {"input_tokens": given, "input_tokens_details": details, "output_tokens": made}
    body = {"id": "r", "object": "response", "model": model, "status": "completed", "service_tier": tier}
    return {**body, "output": rest.get("output", []), "usage": usage}


def generated(model: str, queries: list[str] | None = None, **counts: Any) -> dict[str, Any]:
    """Gemini's; `counts` without their ending: prompt, cachedContent, candidates, thoughts, toolUsePrompt."""
    usage = {f"{name}TokenCount" if isinstance(n, int) else name: n for name, n in counts.items()}
    grounding = {"groundingMetadata": {"webSearchQueries": queries}} if queries else {}
    return {"candidates": [{"finishReason": "STOP", **grounding}], "usageMetadata": usage, "modelVersion": model}


def items(kind: str, times: int, **rest: Any) -> list[dict[str, Any]]:
    return [{"type": kind, "id": f"{kind}_{number}", "status": "completed", **rest} for number in range(times)]


def chunk(content: str = "", **rest: Any) -> dict[str, Any]:
    choices = [{"index": 0, "delta": {"content": content}, "finish_reason": rest.pop("stop", None)}]
    return {"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": choices, **rest}


TINY = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
BATCH = {"request": {"batch": True}}
SEARCH = {"type": "search", "query": "q"}

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

RATES: dict[str, tuple[str, Any, str | None]] = {
    # Whole requests move, strictly above: 272,000 x 2.50 + 1,000 x 15; 272,001 x 5 + 1,000 x 22.50.
    "at a threshold": ("openai", response("gpt-5.4", 272_000, 1_000), "0.695"),
    "above a threshold": ("openai", response("gpt-5.4", 272_001, 1_000), "1.382505"),
    # 200,000 x 1.25 + 1,000 x 10; 200,001 x 2.50 + 1,000 x 15.
    "at Gemini's threshold": ("google", generated("gemini-2.5-pro", prompt=200_000, candidates=1_000), "0.26"),
    "above Gemini's threshold": ("google", generated("gemini-2.5-pro", prompt=200_001, candidates=1_000), "0.5150025"),
    # 1,000,000 cached at each model's own share of its input rate.
    "cached input at half of it": (
        "openai",
        completion("gpt-4o", 1_000_000, prompt={"cached_tokens": 1_000_000}),
        "1.25",
    ),
    "cached input at a quarter": (
        "openai",
        completion("gpt-4.1", 1_000_000, prompt={"cached_tokens": 1_000_000}),
        "0.5",
    ),
    "cached input at a tenth": ("openai", completion("gpt-5", 1_000_000, prompt={"cached_tokens": 1_000_000}), "0.125"),
    "cached input at a fortieth": (
        "anthropic",
        message("claude-fable-5-1", 0, cache_read_input_tokens=1_000_000),
        "0.25",
    ),
    "a cache write at 1.2 times the input": (
        "anthropic",
        message("claude-3-haiku-20240307", 0, **written(10**6, 0)),
        "0.3",
    ),
    # Priority is no one factor: 1,000 and 1,000 at 4.25 + 17, 3.50 + 14, 0.45 + 3.60, 12.50 + 75.
    "priority of gpt-4o": ("openai", completion("gpt-4o", 1_000, 1_000, "priority"), "0.02125"),
    "priority of gpt-4.1": ("openai", completion("gpt-4.1", 1_000, 1_000, "priority"), "0.0175"),
    "priority of gpt-5-mini": ("openai", completion("gpt-5-mini", 1_000, 1_000, "priority"), "0.00405"),
    "priority of gpt-5.5": ("openai", completion("gpt-5.5", 1_000, 1_000, "priority"), "0.0875"),
    "fast is OpenAI's other word for priority": ("openai", completion("gpt-4o", 1_000, 1_000, "fast"), "0.02125"),
    # 200,000 x 0.13, the published rate: not half of 0.25.
    "a published rate is rounded": ("openai", response("gpt-5.4", 200_000, tier="flex", cached=200_000), "0.026"),
    # 10,000 x 10 + 1,000 x 50; 1.1 times 10,000 x 5 + 1,000 x 25.
    "Anthropic's fast mode": ("anthropic", message("claude-opus-5", 10_000, 1_000, speed="fast"), "0.15"),
    "inference held to one region": (
        "anthropic",
        message("claude-opus-5", 10_000, 1_000, inference_geo="us"),
        "0.0825",
    ),
    # 100,000 x 2.50 + 50,000 x 0.25 + 10,000 x 12.50.
    "a batch of Anthropic's, cached too": (
        "anthropic",
        message("claude-opus-5", 100_000, 10_000, cache_read_input_tokens=50_000, service_tier="batch"),
        "0.3875",
    ),
    # 1,000,000 x 5 and 100,000 x 15; 1,000,000 x 2.50 and 100,000 x 10.
    "a snapshot is not its alias": ("openai", completion("gpt-4o-2024-05-13", 1_000_000, 100_000), "6.5"),
    "and the alias is not its first snapshot": ("openai", completion("gpt-4o", 1_000_000, 100_000), "3.5"),
    # 100,000 x 5: a third of Opus 4's, whose name begins this one.
    "a name is not what it begins with": ("anthropic", message("claude-opus-4-5-20251101", 100_000), "0.5"),
    # 100,000 x 3 + 10,000 x 12.
    "a fine-tuned model is dearer than its base": (
        "openai",
        completion("ft:gpt-4.1-2025-04-14:acme::x", 100_000, 10_000),
        "0.42",
    ),
}

FEES: dict[str, tuple[str, Any, str | None]] = {
    "Anthropic counts its searches": (
        "anthropic",
        message("claude-sonnet-4-6", 0, server_tool_use={"web_search_requests": 5}),
        "0.05",
    ),
    # 100,000 x 2.50 + 5 searches at 10: half of the tokens, all of the fee.
    "a batch pays its searches in full": (
        "anthropic",
        message("claude-opus-5", 100_000, service_tier="batch", server_tool_use={"web_search_requests": 5}),
        "0.3",
    ),
    "OpenAI's searches are items of its answer": (
        "openai",
        response("gpt-5.1", 0, output=items("web_search_call", 3, action=SEARCH)),
        "0.03",
    ),
    "opening a page is no search": (
        "openai",
        response("gpt-5.1", 0, output=items("web_search_call", 3, action={"type": "open_page", "url": "u"})),
        "0",
    ),
    "OpenAI's search models search once a call": ("openai", completion("gpt-4o-search-preview", 0), "0.025"),
    "OpenAI's file search": ("openai", response("gpt-5.1", 0, output=items("file_search_call", 1)), "0.0025"),
    "a container is paid once however often it is used": (
        "openai",
        response("gpt-5.1", 0, output=items("code_interpreter_call", 2, container_id="c1")),
        "0.03",
    ),
    "Gemini 3 pays by the query": ("google", generated("gemini-3-pro-preview", ["a", "b"], prompt=0), "0.028"),
    "Gemini 2 pays by the grounded prompt": ("google", generated("gemini-2.5-flash", ["a", "b"], prompt=0), "0.035"),
    # 1,000 x 1 and 5 for a thousand requests.
    "Perplexity takes a fee a request": ("perplexity", completion("sonar", 1_000), "0.006"),
    "a minute of Whisper": (
        "openai",
        {"text": "Hi", "model": "whisper-1", "usage": {"type": "duration", "seconds": 60}},
        "0.006",
    ),
    "moderation is free, and that is a price": (
        "openai",
        {"model": "omni-moderation-latest", "results": [{"flagged": False}]},
        "0",
    ),
}


def price(line: dict[str, Any]) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["price", "--json"], input=json.dumps(line))
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("name", [*READING, *RATES, *FEES])
def test_a_response_costs_what_was_worked_out_by_hand(name: str) -> None:
    provider, body, cost_usd = {**READING, **RATES, **FEES}[name]

    out = price({"provider": provider, "at": JUNE, "response": body})

    assert (out["cost_usd"], out["status"]) == (cost_usd, "unpriced" if cost_usd is None else "exact"), out


@pytest.mark.parametrize(
    ("provider", "body", "cost_usd"),
    [
        # 100,000 x 2.50 + 100,000 x 0.25 + 20,000 x 15; no cached batch rate: 1,000,000 x 1; both: 200,000 x 5
        # + 100,000 x 0.50 + 2,000 x 22.50; 1,000,000 x 0.01.
        ("openai", response("gpt-5.5", 200_000, 20_000, cached=100_000), "0.575"),
        ("openai", completion("gpt-4.1", 1_000_000, prompt={"cached_tokens": 1_000_000}), "1"),
        ("openai", response("gpt-5.6-sol", 300_000, 2_000, cached=100_000), "1.095"),
        (
            "openai",
            {"data": [{"embedding": []}], "model": "text-embedding-3-small", "usage": {"prompt_tokens": 1_000_000}},
            "0.01",
        ),
    ],
    ids=["cached at its batch rate", "cached at the batch's input", "long as well", "vectors"],
)
def test_a_batch_costs_half_of_what_has_a_batch_rate(provider: str, body: dict[str, Any], cost_usd: str) -> None:
    out = price({"provider": provider, "at": JUNE, "response": body, **BATCH})

    assert (out["cost_usd"], out["status"]) == (cost_usd, "exact"), out


@pytest.mark.parametrize(
    ("asked", "body", "cost_usd"),
    [
        # 1,000 x 0.25 + 1,000 x 0.025 + 500 x 2 and half of it; 10,000 x 5 + 1,000 x 25.
        ({"service_tier": "flex"}, response("gpt-5-mini", 2_000, 500, "default", cached=1_000), "0.001275"),
        ({"service_tier": "auto"}, response("gpt-5-mini", 2_000, 500, "flex", cached=1_000), "0.0006375"),
        ({"speed": "fast"}, message("claude-opus-5", 10_000, 1_000, speed="standard"), "0.075"),
    ],
)
def test_what_was_served_is_billed_and_not_what_was_asked(
    asked: dict[str, Any], body: dict[str, Any], cost_usd: str
) -> None:
    out = price({"at": JUNE, "request": asked, "response": body})

    assert (out["cost_usd"], out["status"]) == (cost_usd, "exact")


@pytest.mark.parametrize(
    ("model", "given", "made", "days"),
    [
        # 1,000,000 and 100,000 at 10 + 40 and 2 + 8; 200,000 and 20,000 at 1 + 6 and 0.20 + 1.20, 2.50 + 15 and
        # 2 + 12, 5 + 30 and 4 + 20.
        ("o3", 1_000_000, 100_000, {"2025-06-09T23:59:59Z": "14", "2025-06-10T00:00:00Z": "2.8"}),
        ("gpt-5.6-luna", 200_000, 20_000, {"2026-07-29T23:59:59Z": "0.32", "2026-07-30T00:00:00Z": "0.064"}),
        ("gpt-5.6-terra", 200_000, 20_000, {"2026-07-29T23:59:59Z": "0.8", "2026-07-30T00:00:00Z": "0.64"}),
        ("gpt-5.6-sol", 200_000, 20_000, {"2026-08-20T23:59:59Z": "1.6", "2026-08-21T00:00:00Z": "1.2"}),
    ],
)
def test_a_call_costs_what_held_when_it_was_made(model: str, given: int, made: int, days: dict[str, str]) -> None:
    found = {at: price({"at": at, "response": response(model, given, made)})["cost_usd"] for at in days}

    assert found == days


@pytest.mark.parametrize(
    ("line", "cost_usd", "status"),
    [
        # 123,201 x 3 + 426,653 x 0.30 + 184,457 x 3.75 + 5 searches: 152,967 of the writes are in no breakdown.
        (
            {
                "response": message(
                    "claude-sonnet-4-6",
                    123_201,
                    cache_read_input_tokens=426_653,
                    server_tool_use={"web_search_requests": 5},
                    **written(31_490, 0, total=184_457),
                )
            },
            "1.23931265",
            "estimated",
        ),
        # A platform's own name for a deployment: the response says which model answered. 1,000 x 2.50.
        ({"provider": "azure", "model": "prod", "response": completion("gpt-4o-2024-08-06", 1_000)}, "0.0025", "exact"),
        # What a realtime session says at the end of a turn: 1,000 x 4 + 2,000 x 32 + 300 x 16 + 1,500 x 64.
        (
            {
                "provider": "openai",
                "model": "gpt-realtime",
                "response": {
                    "object": "realtime.response",
                    "usage": {
                        "input_tokens": 3_000,
                        "output_tokens": 1_800,
                        "input_token_details": {"text_tokens": 1_000, "audio_tokens": 2_000},
                        "output_token_details": {"text_tokens": 300, "audio_tokens": 1_500},
                    },
                },
            },
            "0.1688",
            "exact",
        ),
        # OpenRouter's own figure stands, ours beside it.
        (
            {"provider": "openrouter", "response": completion("openai/gpt-4o", 1_000, cost=0.0031)},
            "0.0031",
            "provider_reported",
        ),
        # Capacity that was paid for ahead: the list price is no more than an estimate.
        (
            {"response": generated("gemini-2.5-flash", prompt=1_000, trafficType="PROVISIONED_THROUGHPUT")},
            "0.0003",
            "estimated",
        ),
        # No cached rate: 1,000 x 2.50. No audio rate: the text alone, and it says so. Free: exactly nothing.
        (
            {"response": completion("x", 1_000, prompt={"cached_tokens": 900}), "rates": {"input": "2.5"}},
            "0.0025",
            "exact",
        ),
        (
            {"response": completion("x", 1_000, prompt={"audio_tokens": 500}), "rates": {"input": "2.5"}},
            "0.00125",
            "partial",
        ),
        ({"response": completion("x", 1_000, 100), "rates": {"input": 0, "output": 0}}, "0", "exact"),
        ({"provider": "openai", "response": completion("nobodys-7b", 1_000, 100)}, None, "unpriced"),
    ],
)
def test_what_is_not_simply_exact_says_so(line: dict[str, Any], cost_usd: str | None, status: str) -> None:
    out = price({"provider": line.get("provider", "acme" if "rates" in line else None), "at": JUNE, **line})

    assert (out["cost_usd"], out["status"]) == (cost_usd, status), out
    assert ("reason" in out) == (status in ("estimated", "partial", "unpriced"))
