"""Rows as the API gives them, with only what a test is about said aloud."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from outlay_dashboard.answers import UsageRow, read_usage

RowMaker = Callable[..., UsageRow]


@pytest.fixture
def usage_row() -> RowMaker:
    """`usage_row(bucket="...Z", model="a", cost_usd="0.5", ...)`: what is not said is a call without tokens."""

    def make(**said: Any) -> UsageRow:
        dimensions = [name for name in ("model", "feature", "user") if name in said]
        counts = dict.fromkeys(
            ("errors", "rate_limited", "retries", "input_tokens", "output_tokens", "cache_read_tokens",
             "cache_write_tokens", "reasoning_tokens", "unpriced_calls"), 0,
        )  # fmt: skip
        unmeasured = {"p50": None, "p95": None, "p99": None}
        row = {"bucket": None, "calls": 1, "cost_usd": None, "avoided_usd": None, "latency_ms": unmeasured}
        answer = {
            "from": "2026-11-20T00:00:00Z",
            "to": "2026-11-21T00:00:00Z",
            "group_by": dimensions,
            "rows": [row | {"ttft_ms": unmeasured} | counts | said],
        }
        return read_usage(answer).rows[0]

    return make
