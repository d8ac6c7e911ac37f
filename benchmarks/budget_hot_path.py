"""What a budget check adds to a call: reserve and settle with a lease in hand, no network.

    python benchmarks/budget_hot_path.py

Prints microseconds of one thread's CPU time a call, best of thirty runs, for no budget and up to three. Each
reservation reads its request's body anew, a prompt of 20 or of 2,000 characters. A hundred take turns: a processor
learns one by heart.
"""

from __future__ import annotations

import random
import time
from typing import Any

from outlay.budgets.client import LeasedGate
from outlay.budgets.definition import read_budget
from outlay.budgets.estimate import Estimator
from outlay.budgets.lease import Grant, LeaseAnswer, LeaseRequest, SettleAnswer, SettleRequest
from outlay.budgets.remote import Remote
from outlay.model import NOBODY, Attribution, Cost, CostStatus, Usage
from outlay.prices import PriceBook
from outlay.providers.base import Request
from outlay.providers.prompt import Prompt

CALLS, RUNS, PROMPTS = 2_000, 30, 100
PLENTY = 10**15
ENTRIES: list[dict[str, Any]] = [
    {"name": "all", "limit": {"usd": 1_000}},
    {"name": "user", "limit": {"usd": 1_000}, "per": ["user"], "match": {"feature": "chat"}},
    {"name": "tokens", "limit": {"tokens": PLENTY}, "period": "month", "match": {"environment": ["prod", "test"]}},
]


class Generous(Remote):
    """A collector that grants whatever it is asked for, at once."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        super().__init__("http://collector", None)
        self._entries = [read_budget(entry, "benchmark").entry() for entry in entries]

    def lease(self, request: LeaseRequest, timeout_s: float) -> LeaseAnswer:
        grants = [
            Grant(
                lease=ask.lease,
                budget=ask.budget,
                scope=ask.scope,
                granted=ask.known + ask.need + PLENTY // 1_000,
                expires_in_s=3_600,
                limit=PLENTY,
                spent=0,
                leased=PLENTY,
                starts_at_ns=0,
                ends_at_ns=None,
            )
            for ask in request.asks
        ]
        return LeaseAnswer(version="1", budgets=self._entries, grants=grants)

    def settle(self, request: SettleRequest, timeout_s: float) -> SettleAnswer:
        return SettleAnswer(version="1", expires_in_s={each.lease: 3_600 for each in request.renewals})


def prose(seed: int, length: int) -> str:
    """So many characters, 2,000 at most, of words and signs, spread as English has them."""
    draw = random.Random(seed)
    lengths = draw.choices(range(1, 12), weights=(4, 17, 21, 16, 11, 9, 8, 6, 4, 2, 2), k=500)
    ends = draw.choices((" ", ", ", ". "), weights=(14, 1, 1), k=len(lengths))
    words = ("".join(draw.choices("etaoinshrdlu", k=length)) + end for length, end in zip(lengths, ends, strict=True))
    return "".join(words)[:length]


def request_of(text: str) -> Request:
    body = {"model": "gpt-4o", "max_tokens": 1_000, "messages": [{"role": "user", "content": text}]}
    return Request(
        operation="chat", model="gpt-4o", max_output_tokens=1_000, prompt=Prompt(body), attribution=NOBODY
    )  # as it is read from a body that names no user


def measure(entries: list[dict[str, Any]], length: int) -> tuple[float, float]:
    """Microseconds of a reservation, and of its settlement."""
    gate = LeasedGate(Generous(entries), Estimator(PriceBook.bundled()), in_background=False)
    requests = [request_of(prose(seed, length)) for seed in range(PROMPTS)] * (CALLS // PROMPTS)
    who = Attribution(
        service="bot", environment="prod", feature="chat", user="u42", tenant="acme", tags={"tier": "free"}
    )
    cost, usage = Cost(nano_usd=6_855_000, status=CostStatus.EXACT), Usage({"input": 480, "output": 300})
    span = (32 * "a", 16 * "b")
    gate.reserve("openai", requests[0], who).settle(cost, usage, span)
    reserved, settled = [], []
    for _ in range(RUNS):
        start = time.thread_time_ns()
        reservations = [gate.reserve("openai", request, who) for request in requests]
        middle = time.thread_time_ns()
        for each in reservations:
            each.settle(cost, usage, span)
        end = time.thread_time_ns()
        reserved.append((middle - start) / CALLS / 1_000)
        settled.append((end - middle) / CALLS / 1_000)
        gate.tick()
    return min(reserved), min(settled)


def main() -> None:
    for count in range(len(ENTRIES) + 1):
        for length in (20, 2_000):
            reserve_us, settle_us = measure(ENTRIES[:count], length)
            print(f"{count} budgets, {length:5} characters: reserve {reserve_us:5.2f} us, settle {settle_us:5.2f} us")


if __name__ == "__main__":
    main()
