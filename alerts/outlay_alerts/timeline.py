"""Tests of rules by those who write them: traffic along a time line, and what should stand at which point of it.

    [[timeline]]
    name = "an outage of one provider fires after five minutes"
    [[timeline.calls]]
    from = "0m"
    to = "20m"
    per_minute = 30
    errors = 0.5
    labels = { provider = "openai" }
    [[timeline.expect]]
    at = "6m"
    rule = "provider-errors"
    group = { provider = "openai" }
    state = "firing"

The rules are looked at as a collector would, on this traffic instead of a store. Budgets are not part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from outlay.errors import ConfigError
from outlay.model import NANO_USD_PER_USD
from pydantic import BaseModel, ConfigDict, Field

from outlay_alerts.alert import Alert
from outlay_alerts.config import read_entries
from outlay_alerts.duration import Duration
from outlay_alerts.evaluate import look
from outlay_alerts.lifecycle import State
from outlay_alerts.measurements import BudgetState, Group, LimitState, Match, Measurement, Percentiles, Window
from outlay_alerts.rules import Rule
from outlay_alerts.rules.keys import Length, Number, Share

START: Final = datetime(2026, 1, 5, tzinfo=UTC)
"""Where minute 0 is: midnight of a Monday."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Traffic(_Table):
    """Calls that come evenly from one point to another, all alike but for the share of them that fail."""

    from_: Duration = Field(default=timedelta(0), alias="from")
    to: Duration
    per_minute: Number
    labels: dict[str, str] = {}
    errors: Share = Decimal(0)
    auth_failures: Share = Decimal(0)
    rate_limited: Number = Decimal(0)
    """429 answers a call."""
    latency: Duration = timedelta(seconds=1)
    ttft: Duration | None = None
    cost_usd: Number = Decimal("0.001")
    """Of one call."""
    unpriced: bool = False
    """Whether its cost is not known."""
    input_tokens: int = 1000
    cache_read_tokens: int = 0

    def calls_in(self, window: Window) -> int:
        """How many of its calls start in the window."""
        begin = max(window.start - START, self.from_)
        end = min(window.end - START, self.to)
        return max(0, int(Decimal(str((end - begin) / timedelta(minutes=1))) * self.per_minute))


class Expectation(_Table):
    """What one rule should be at one point, for one group."""

    at: Duration
    rule: str
    group: dict[str, str] = {}
    state: State


class Timeline(_Table):
    name: str
    every: Length = timedelta(minutes=1)
    calls: tuple[Traffic, ...]
    expect: tuple[Expectation, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that was not met, and what was there instead."""

    timeline: str
    expected: Expectation
    found: State
    reason: str


def read_timelines(entries: Sequence[Mapping[str, Any]], rules: Sequence[Rule], source: str) -> tuple[Timeline, ...]:
    """Raises `ConfigError`, also where an expectation is about a rule there is not."""
    timelines = read_entries(Timeline, entries, source, "timeline")
    known = [rule.name for rule in rules]
    for index, timeline in enumerate(timelines):
        for place, expected in enumerate(timeline.expect):
            if expected.rule not in known:
                key = f"timeline[{index}].expect[{place}].rule"
                raise ConfigError(source, key, expected.rule, f"one of the rules: {', '.join(known)}")
    return timelines


def run(timeline: Timeline, rules: Sequence[Rule]) -> list[Failure]:
    """What did not come as expected, in the order of time."""
    failures = []
    known: dict[str, dict[Group, Alert]] = {rule.name: {} for rule in rules}
    readers = _Along(timeline.calls)
    left = sorted(timeline.expect, key=lambda expected: expected.at)
    at = timedelta(0)
    while left:
        for rule in rules:
            moves = look(rule, known[rule.name], (), readers, START + at)
            known[rule.name] = {move.after.group: move.after for move in moves if move.after}
        due = [expected for expected in left if expected.at < at + timeline.every]
        failures += [failure for expected in due if (failure := _compare(timeline, expected, known[expected.rule]))]
        left = left[len(due) :]
        at += timeline.every
    return failures


def _compare(timeline: Timeline, expected: Expectation, known: Mapping[Group, Alert]) -> Failure | None:
    alert = next((alert for group, alert in known.items() if dict(group) == expected.group), None)
    found, reason = (alert.state, alert.verdict.reason) if alert else (State.INACTIVE, "there is no such group")
    return None if found is expected.state else Failure(timeline.name, expected, found, reason)


class _Along:
    """Readers over the traffic of a timeline."""

    def __init__(self, traffic: Iterable[Traffic]) -> None:
        self._traffic = tuple(traffic)

    def measure(self, window: Window, group_by: Sequence[str], match: Match) -> list[Measurement]:
        groups: dict[Group, list[tuple[Traffic, int]]] = {}
        for stretch in self._traffic:
            calls = stretch.calls_in(window)
            if calls and all(stretch.labels.get(name) in values for name, values in match.items()):
                group = tuple((name, stretch.labels.get(name)) for name in group_by)
                groups.setdefault(group, []).append((stretch, calls))
        return [_measure(group, parts) for group, parts in groups.items()]

    def budgets(self, now: datetime) -> list[BudgetState]:
        return []

    def limits(self, now: datetime) -> list[LimitState]:
        return []


def _measure(group: Group, parts: Sequence[tuple[Traffic, int]]) -> Measurement:
    def total(amount: Callable[[Traffic], Decimal | int], of: Sequence[tuple[Traffic, int]] = parts) -> int:
        return int(sum(amount(stretch) * calls for stretch, calls in of))

    priced = [(stretch, calls) for stretch, calls in parts if not stretch.unpriced]
    return Measurement(
        group=group,
        calls=total(lambda _: 1),
        errors=total(lambda stretch: stretch.errors),
        rate_limited=total(lambda stretch: stretch.rate_limited),
        auth_failures=total(lambda stretch: stretch.auth_failures),
        unpriced_calls=total(lambda stretch: stretch.unpriced),
        cost_nano_usd=total(lambda stretch: stretch.cost_usd * NANO_USD_PER_USD, priced) if priced else None,
        input_tokens=total(lambda stretch: stretch.input_tokens),
        cache_read_tokens=total(lambda stretch: stretch.cache_read_tokens),
        latency_ms=_percentiles((stretch.latency, calls) for stretch, calls in parts),
        ttft_ms=_percentiles((stretch.ttft, calls) for stretch, calls in parts if stretch.ttft is not None),
    )


def _percentiles(times: Iterable[tuple[timedelta, int]]) -> Percentiles:
    """By nearest rank."""
    rising = sorted(times)
    count = sum(calls for _, calls in rising)

    def at(percent: int) -> float | None:
        rank = -(-count * percent // 100)
        for length, calls in rising:
            rank -= calls
            if rank <= 0:
                return length / timedelta(milliseconds=1)
        return None

    return Percentiles(p50=at(50), p95=at(95), p99=at(99))
