"""What end-to-end tests share: a bill worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

import pytest

RATES: Final[dict[str, dict[str, str]]] = {
    "gpt-4.1-mini-2025-04-14": {"input": "0.40", "read": "0.10", "output": "1.60"},
    "gpt-4.1-2025-04-14": {"input": "2.00", "read": "0.50", "output": "8.00"},
    "gpt-5-mini-2025-08-07": {"input": "0.25", "read": "0.025", "output": "2.00"},
    "text-embedding-3-small": {"input": "0.02"},
    "claude-haiku-4-5-20251001": {"input": "1.00", "read": "0.10", "5m": "1.25", "1h": "2.00", "output": "5.00"},
    "claude-sonnet-4-6": {"input": "3.00", "read": "0.30", "5m": "3.75", "1h": "6.00", "output": "15.00"},
}
"""USD per million tokens, from the providers' price pages of 2025 and 2026, by the model that was served."""

Bill = Callable[[Iterable[Mapping[str, Any]]], dict[str, Decimal]]


def _nano_usd(entry: Mapping[str, Any]) -> int:
    """What one answer of the fake provider costs, rounded half even. USD a million tokens is 1,000 nano-USD a token."""
    rates = {name: Decimal(rate) * 1000 for name, rate in RATES[entry["model"]].items()}
    usage = entry["usage"]
    if entry["provider"] == "anthropic":
        written = usage["cache_creation"]
        amount = (
            usage["input_tokens"] * rates["input"]
            + usage["cache_read_input_tokens"] * rates["read"]
            + written["ephemeral_5m_input_tokens"] * rates["5m"]
            + written["ephemeral_1h_input_tokens"] * rates["1h"]
            + usage["output_tokens"] * rates["output"]
        )
    elif "prompt_tokens" in usage:
        cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
        amount = (usage["prompt_tokens"] - cached) * rates["input"] + cached * rates.get("read", Decimal())
        amount += usage.get("completion_tokens", 0) * rates.get("output", Decimal())
    else:
        cached = usage["input_tokens_details"]["cached_tokens"]
        amount = (usage["input_tokens"] - cached) * rates["input"] + cached * rates["read"]
        amount += usage["output_tokens"] * rates["output"]
    return int(amount.quantize(Decimal(1), ROUND_HALF_EVEN))


@pytest.fixture(scope="session")
def bill_by_hand() -> Bill:
    """USD by served model, summed over a usage log; models nobody has a rate for are left out."""

    def bill(entries: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
        spent: dict[str, int] = {}
        for entry in entries:
            if entry["usage"] is not None and entry["model"] in RATES:
                spent[entry["model"]] = spent.get(entry["model"], 0) + _nano_usd(entry)
        return {model: Decimal(nano) / 1_000_000_000 for model, nano in spent.items()}

    return bill
