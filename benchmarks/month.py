"""Who makes the calls of a month, for benchmarks of questions: as uneven as they are, so that sums are as sparse.

Forty features of twelve services, each with one to three of 22 models of nine providers, one of them on nobody's price
list; three environments, of which production has 92 %. 60,000 users, the n-th calling in proportion to 1 / n**0.9, each
of one of 300 tenants, which have users in proportion to 1 / n. Hours of the day differ by a factor of seven, and a day
of the weekend has 60 % of another's calls. Two calls of a hundred fail. A session has five calls, and nobody else's.

Of ten million calls in 30 days, a day has some 330,000 calls of 46,000 users, and 24,000 combinations of all dimensions
but user and session.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Final

from outlay.model import Attribution, Call
from outlay.prices import PriceBook
from traffic import drawn

HOUR_NS: Final = 3600 * 1_000_000_000
MODELS: Final = (
    ("openai", "gpt-4o-2024-08-06"), ("openai", "gpt-4o-mini-2024-07-18"), ("anthropic", "claude-sonnet-4-5-20250929"),
    ("openai", "gpt-5-mini"), ("google", "gemini-2.5-flash"), ("openai", "gpt-4.1-2025-04-14"), ("openai", "gpt-5"),
    ("anthropic", "claude-3-5-haiku-20241022"), ("openai", "text-embedding-3-small"), ("google", "gemini-2.5-pro"),
    ("openai", "o3-mini-2025-01-31"), ("anthropic", "claude-haiku-4-5-20251001"), ("google", "gemini-2.5-flash-lite"),
    ("mistral", "mistral-large-latest"), ("openai", "gpt-4.1-mini-2025-04-14"), ("groq", "llama-3.3-70b-versatile"),
    ("anthropic", "claude-opus-4-1-20250805"), ("xai", "grok-4"), ("deepseek", "deepseek-chat"),
    ("openai", "text-embedding-3-large"), ("cohere", "command-r-plus"), ("self-hosted", "our-own-7b"),
)  # fmt: skip
FEATURES: Final = 40
SERVICES: Final = 12
TENANTS: Final = 300
USERS: Final = 60_000
_DRAWS: Final = 1_000_003
_WEEKEND: Final = 0.6
_HOURS: Final = (3, 2, 2, 2, 2, 3, 5, 8, 11, 13, 14, 14, 13, 14, 14, 13, 12, 10, 9, 8, 7, 6, 5, 4)


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a call is made."""

    user: str
    tenant: str
    environment: str


def callers(number: int = _DRAWS, seed: int = 7) -> Sequence[Caller]:
    """So many callers, as often as they call: a prime number of them, so that they and the calls do not go in step."""
    chance = random.Random(seed)
    tenants = chance.choices(range(TENANTS), [1 / (n + 1) for n in range(TENANTS)], k=USERS)
    drawn = chance.choices(range(USERS), [1 / (n + 1) ** 0.9 for n in range(USERS)], k=number)
    known = {
        (user, environment): Caller(f"user-{user}", f"tenant-{tenants[user]}", environment)
        for user in range(USERS)
        for environment in ("prod", "staging", "dev")
    }
    where = chance.choices(("prod", "staging", "dev"), (92, 6, 2), k=number)
    return [known[each] for each in zip(drawn, where, strict=True)]


def templates(number: int, at_ns: int, seed: int = 7) -> Iterator[Call]:
    """So many calls as they differ by what is asked, all at one time and by nobody."""
    book, chance = PriceBook.bundled(), random.Random(seed)
    models = [chance.sample(MODELS, chance.choice((1, 1, 2, 3)), counts=_skewed(len(MODELS))) for _ in range(FEATURES)]
    for _ in range(number):
        feature = chance.choices(range(FEATURES), _skewed(FEATURES))[0]
        provider, model = chance.choice(models[feature])
        who = Attribution(
            service=f"service-{feature % SERVICES}",
            feature=f"feature-{feature}",
            tags={"tier": chance.choice(("free", "paid"))},
        )
        yield replace(drawn(provider, model, at_ns, book, chance), attribution=who)


def _skewed(number: int) -> list[int]:
    return [max(1, round(100 / (n + 1))) for n in range(number)]


class Times:
    """When the n-th of so many calls of a window starts: more of them by day than by night, fewer at the weekend."""

    def __init__(self, number: int, from_ns: int, to_ns: int) -> None:
        edges = [from_ns, *range(from_ns - from_ns % HOUR_NS + HOUR_NS, to_ns, HOUR_NS), to_ns]
        weights = [_weight(start) * (end - start) / HOUR_NS for start, end in pairwise(edges)]
        share = number / sum(weights)
        self._edges = edges
        self._before = [0, *(round(so_far * share) for so_far in accumulate(weights))]

    def started_at_ns(self, n: int) -> int:
        hour = bisect_right(self._before, n) - 1
        first, after = self._before[hour], self._before[hour + 1]
        start, end = self._edges[hour], self._edges[hour + 1]
        return start + (end - start) * (n - first) // (after - first)


def _weight(at_ns: int) -> float:
    days, hour = divmod(at_ns // HOUR_NS, 24)
    return _HOURS[hour] * (_WEEKEND if days % 7 in (2, 3) else 1)  # the first day of all was a Thursday
