"""Where others have been too sure: what is estimated, partial, unpriced or said by the provider alone says so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.responses import JUNE, completion, generated, message, price, written


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
