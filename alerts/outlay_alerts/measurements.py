"""What rules read: the traffic of a window in figures, how budgets stand, and the room in rate limits.

Only the questions are here. The collector answers them from its store, a timeline from the lines a user wrote, so a
rule is the same function in production, in a backtest and in a test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from outlay.budgets.budget import Limit

Group = tuple[tuple[str, str | None], ...]
"""Dimensions and their values in the rule's order: `(("provider", "openai"),)`. None: the calls do not say it."""

Match = Mapping[str, tuple[str, ...]]
"""Dimensions that must have any one of the values."""

EVERYTHING: Final[Group] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open: calls that started at `start` or later and before `end`. Aware UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds, over the calls that have the figure; None where none has."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The calls of one group in a window. A group without calls has no measurement.

    `rate_limited` counts 429 answers over all attempts, `auth_failures` calls that ended in 401 or 403.
    `cost_nano_usd` is the sum over the priced calls, None where not one is; `unpriced_calls` are not in it.
    Token counts are None where no call reported them.
    """

    group: Group
    calls: int
    errors: int = 0
    rate_limited: int = 0
    auth_failures: int = 0
    unpriced_calls: int = 0
    cost_nano_usd: int | None = None
    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    latency_ms: Percentiles = field(default_factory=Percentiles)
    ttft_ms: Percentiles = field(default_factory=Percentiles)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """One budget, for one combination of its `per` dimensions. `spent` is in the limit's own unit.

    `thresholds` are the budget's own soft ones, shares of the limit. `resets_at` is None for a rolling window.
    `refused`: calls are held back for want of room, though the limit itself is not reached. `exhausts_at`: when the
    limit is reached at the present pace, None where that is not before it resets, or there is too little to go by.
    """

    name: str
    scope: Group
    limit: Limit
    spent: int
    thresholds: tuple[float, ...] = ()
    resets_at: datetime | None = None
    refused: bool = False
    exhausts_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitState:
    """One rate limit of a provider as the latest call saw it, not reset since. `limit` is above zero."""

    provider: str
    model: str | None
    service: str | None
    name: str
    """What is limited: `requests`, `tokens` and so on."""
    limit: int
    remaining: int


class Readers(Protocol):
    """What there is to read. Raises whatever the store raises: evaluation records it as the rule's bad health."""

    def measure(self, window: Window, group_by: Sequence[str], match: Match) -> Sequence[Measurement]:
        """One measurement a group that has calls, in no order."""

    def budgets(self, now: datetime) -> Sequence[BudgetState]:
        """Every budget scope that has spent anything in its period, and every budget without `per`."""

    def limits(self, now: datetime) -> Sequence[LimitState]:
        """Every rate limit whose room is known now."""
