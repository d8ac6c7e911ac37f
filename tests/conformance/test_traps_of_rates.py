"""Where others have taken the wrong rate: tiers, batches, days, names that resemble, and fees."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.responses import JUNE, completion, generated, items, message, price, response, written

BATCH = {"request": {"batch": True}}
SEARCH = {"type": "search", "query": "q"}

RATES: dict[str, tuple[str, Any, str]] = {
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

FEES: dict[str, tuple[str, Any, str]] = {
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


@pytest.mark.parametrize("name", [*RATES, *FEES])
def test_a_response_costs_what_was_worked_out_by_hand(name: str) -> None:
    provider, body, cost_usd = {**RATES, **FEES}[name]

    out = price({"provider": provider, "at": JUNE, "response": body})

    assert (out["cost_usd"], out["status"]) == (cost_usd, "exact"), out


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
