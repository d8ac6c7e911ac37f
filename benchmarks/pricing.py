"""What pricing a call costs: Outlay's book beside genai-prices' `calc_price`, in one run, on the same calls.

    python benchmarks/pricing.py

Both price the same usage of current models: plain, cached, above a size threshold, in a batch and by the hour. They
must agree to the last digit before anything is timed. Times are the best of several rounds, in microseconds a call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import genai_prices
from outlay.model import STANDARD_TERMS, Terms, Usage
from outlay.prices import PriceBook, nano_usd

AT: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
AT_NS: Final = int(AT.timestamp()) * 10**9
ROUNDS: Final = 25
CALLS: Final = 500


@dataclass(frozen=True)
class Call:
    """One call in both languages: disjoint buckets for Outlay, inclusive counts for genai-prices."""

    provider: str
    model: str
    input: int
    cache_read: int
    output: int
    terms: Terms = STANDARD_TERMS
    context: dict[str, str] = field(default_factory=dict)

    @property
    def usage(self) -> Usage:
        return Usage({"input": self.input, "cache_read": self.cache_read, "output": self.output})

    @property
    def theirs(self) -> genai_prices.Usage:
        return genai_prices.Usage(
            input_tokens=self.input + self.cache_read,
            cache_read_tokens=self.cache_read,
            output_tokens=self.output,
        )


CASES: Final = (
    Call("openai", "gpt-4o", 86, 1_920, 300),
    Call("openai", "gpt-5-mini", 2_000, 0, 500),
    Call("openai", "gpt-5.4", 300_000, 1_000, 1_000),
    Call("openai", "gpt-5.5", 5_000, 5_000, 1_000, Terms(batch=True), {"processing": "batch"}),
    Call("anthropic", "claude-opus-5", 1_253, 128_955, 400),
    Call("anthropic", "claude-sonnet-4-6", 10_000, 0, 1_000),
    Call("google", "gemini-2.5-pro", 200_001, 0, 1_000),
    Call("deepseek", "deepseek-v4-pro", 10_000, 2_000, 500),
)


def ours(book: PriceBook, call: Call) -> Callable[[], int | None]:
    usage = call.usage
    return lambda: book.cost(usage, provider=call.provider, model=call.model, at_ns=AT_NS, terms=call.terms).nano_usd


def theirs(call: Call) -> Callable[[], Decimal]:
    usage = call.theirs
    return lambda: (
        genai_prices.calc_price(
            usage,
            call.model,
            provider_id=call.provider,
            genai_request_timestamp=AT,
            price_context=call.context or None,
        ).total_price
    )


def best_us(work: Callable[[], object], calls: int) -> float:
    def one() -> float:
        start = time.perf_counter()
        for _ in range(calls):
            work()
        return (time.perf_counter() - start) / calls * 1e6

    return min(one() for _ in range(ROUNDS))


def main() -> None:
    start = time.perf_counter()
    book = PriceBook.bundled()
    ours(book, CASES[0])()
    loaded_ms = (time.perf_counter() - start) * 1e3
    print(f"{'model':22}{'Outlay us':>12}{'genai-prices us':>18}{'ratio':>8}   cost, the same in both")
    ratios = []
    for call in CASES:
        mine, other = ours(book, call), theirs(call)
        figure = mine()
        assert figure == nano_usd(other()), (call, figure, other())
        mine_us, other_us = best_us(mine, CALLS), best_us(other, CALLS // 10)
        ratios.append(other_us / mine_us)
        print(f"{call.model:22}{mine_us:12.1f}{other_us:18.1f}{ratios[-1]:8.1f}   {figure:,} nano-USD")
    print(f"{len(ratios)} calls: Outlay is {min(ratios):.0f} to {max(ratios):.0f} times as fast")
    print(f"first price, data read and model compiled: {loaded_ms:.1f} ms")


if __name__ == "__main__":
    main()
