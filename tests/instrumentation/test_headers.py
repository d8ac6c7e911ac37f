"""Rate limits as each provider writes them, in one form: what is limited, how much, how much is left, until when.

The headers are shaped as providers send them; their figures are made up.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pytest
from outlay.headers import raw_headers, read_headers
from outlay.model import RateLimit

NOW_NS: Final = int(datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC).timestamp()) * 10**9

HEADERS: Final[dict[str, tuple[dict[str, str], dict[str, RateLimit]]]] = {
    "OpenAI": (
        {
            "x-ratelimit-limit-requests": "10000",
            "x-ratelimit-remaining-requests": "9999",
            "x-ratelimit-reset-requests": "14m24s",
            "x-ratelimit-limit-tokens": "2000000",
            "x-ratelimit-remaining-tokens": "1999985",
            "x-ratelimit-reset-tokens": "120ms, req_3d9h7m",
        },
        {
            "requests": RateLimit(limit=10000, remaining=9999, reset_s=864.0),
            "tokens": RateLimit(limit=2000000, remaining=1999985, reset_s=0.12),
        },
    ),
    "Azure, without a limit": (
        {"x-ratelimit-remaining-requests": "247", "x-ratelimit-remaining-tokens": "249861"},
        {
            "requests": RateLimit(limit=None, remaining=247, reset_s=None),
            "tokens": RateLimit(limit=None, remaining=249861, reset_s=None),
        },
    ),
    "Azure, with its period": (
        {
            "x-ratelimit-key": "gpt-5-nano",
            "x-ratelimit-limit-requests": "120",
            "x-ratelimit-remaining-requests": "118",
            "x-ratelimit-renewalperiod-requests": "60",
            "x-ratelimit-reset-requests": "500",
            "x-ratelimit-limit-tokens": "120000",
            "x-ratelimit-renewalperiod-tokens": "60",
            "x-ratelimit-reset-tokens": "7",
        },
        {
            "requests": RateLimit(limit=120, remaining=118, reset_s=None),
            "tokens": RateLimit(limit=120000, remaining=None, reset_s=7.0),
        },
    ),
    "Anthropic": (
        {
            "anthropic-ratelimit-requests-limit": "4000",
            "anthropic-ratelimit-requests-remaining": "3999",
            "anthropic-ratelimit-requests-reset": "2026-11-21T12:00:05Z",
            "anthropic-ratelimit-input-tokens-limit": "2000000",
            "anthropic-ratelimit-input-tokens-remaining": "1998000",
            "anthropic-ratelimit-input-tokens-reset": "2026-11-21T11:59:00Z",
        },
        {
            "requests": RateLimit(limit=4000, remaining=3999, reset_s=5.0),
            "input_tokens": RateLimit(limit=2000000, remaining=1998000, reset_s=0.0),
        },
    ),
    "Groq": (
        {
            "x-ratelimit-limit-requests": "14400",
            "x-ratelimit-remaining-requests": "14398",
            "x-ratelimit-reset-requests": "10.593s",
        },
        {"requests": RateLimit(limit=14400, remaining=14398, reset_s=10.593)},
    ),
    "Mistral": (
        {
            "x-ratelimit-limit-req-minute": "360",
            "x-ratelimit-remaining-req-minute": "352",
            "x-ratelimit-limit-tokens-minute": "2000000",
            "x-ratelimit-remaining-tokens-minute": "1999225",
            "x-ratelimit-limit-tokens-month": "10000000000",
            "x-ratelimit-tokens-query-cost": "107",
        },
        {
            "requests": RateLimit(limit=360, remaining=352, reset_s=None),
            "tokens": RateLimit(limit=2000000, remaining=1999225, reset_s=None),
            "tokens_month": RateLimit(limit=10000000000, remaining=None, reset_s=None),
        },
    ),
    "Mistral, by size": (
        {
            "ratelimitbysize-limit": "500000",
            "ratelimitbysize-remaining": "342032",
            "ratelimitbysize-reset": "33",
            "ratelimitbysize-query-cost": "32010",
            "x-ratelimitbysize-limit-minute": "500000",
            "x-ratelimitbysize-limit-month": "1000000000",
        },
        {
            "tokens": RateLimit(limit=500000, remaining=342032, reset_s=33.0),
            "tokens_month": RateLimit(limit=1000000000, remaining=None, reset_s=None),
        },
    ),
    "xAI": (
        {"x-ratelimit-limit-requests": "1800", "x-ratelimit-remaining-requests": "1779"},
        {"requests": RateLimit(limit=1800, remaining=1779, reset_s=None)},
    ),
    "Replicate": (
        {"ratelimit-remaining": "2999", "ratelimit-reset": "1"},
        {"requests": RateLimit(limit=None, remaining=2999, reset_s=1.0)},
    ),
    "what is no limit": ({"x-ratelimit-abusepenalty-active": "False", "x-ratelimit": "on", "retry-after": "3"}, {}),
}


@pytest.mark.parametrize("provider", HEADERS)
def test_headroom_is_read_from_each_providers_headers(provider: str) -> None:
    headers, limits = HEADERS[provider]
    _, found = read_headers(raw_headers(headers), NOW_NS)
    assert dict(found) == limits
