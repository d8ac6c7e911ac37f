"""Spend and traffic over time, and their sums so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from outlay_dashboard.answers.values import Json, read_amount, read_amount_or_none, read_time, read_time_or_none


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds; None where no call was measured."""

    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendRow:
    """One bucket of time and one value for each dimension grouped by. `bucket_at` is None without an interval."""

    bucket_at: datetime | None
    group: tuple[str | None, ...]
    calls: int
    cost_usd: Decimal | None
    unpriced_calls: int


SPEND: Final = ("calls", "cost_usd", "unpriced_calls")
"""The measures of a `SpendRow`: who asks for no other has an answer sooner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow(SpendRow):
    """The same with all measures. Counts of tokens are None where no call of the row reported them."""

    errors: int
    rate_limited: int
    retries: int
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    avoided_usd: Decimal | None
    latency_ms: Percentiles
    ttft_ms: Percentiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A day or a month so far. `error_rate` is None where there was no call."""

    from_at: datetime
    calls: int
    errors: int
    unpriced_calls: int
    cost_usd: Decimal | None
    avoided_usd: Decimal | None
    error_rate: float | None
    latency_ms: Percentiles
    lost_by_reason: Mapping[str, int] = field(default_factory=dict)
    """Calls that clients made and could not deliver: no figure holds them."""


@dataclass(frozen=True, slots=True)
class Projection:
    cost_usd: Decimal
    low_usd: Decimal
    high_usd: Decimal


@dataclass(frozen=True, slots=True)
class Summary:
    now: datetime
    today: Period
    month_to_date: Period
    projected_month_end: Projection | None


def cost_of(rows: Iterable[SpendRow]) -> Decimal | None:
    """What the priced calls of all rows cost; None where none has a price."""
    known = [row.cost_usd for row in rows if row.cost_usd is not None]
    return sum(known, Decimal(0)) if known else None


def read_spend(answer: Json) -> tuple[SpendRow, ...]:
    dimensions = tuple(answer["group_by"])
    return tuple(SpendRow(**_spend(row, dimensions)) for row in answer["rows"])


def read_usage(answer: Json) -> tuple[UsageRow, ...]:
    dimensions = tuple(answer["group_by"])
    return tuple(_usage_row(row, dimensions) for row in answer["rows"])


def read_summary(answer: Json) -> Summary:
    projected = answer["projected_month_end"]
    return Summary(
        now=read_time(answer["now"]),
        today=_period(answer["today"]),
        month_to_date=_period(answer["month_to_date"]),
        projected_month_end=None if projected is None else _projection(projected),
    )


def _spend(row: Json, dimensions: tuple[str, ...]) -> dict[str, Any]:
    return {
        "bucket_at": read_time_or_none(row["bucket"]),
        "group": tuple(row[dimension] for dimension in dimensions),
        "calls": row["calls"],
        "cost_usd": read_amount_or_none(row["cost_usd"]),
        "unpriced_calls": row["unpriced_calls"],
    }


def _usage_row(row: Json, dimensions: tuple[str, ...]) -> UsageRow:
    return UsageRow(
        **_spend(row, dimensions),
        errors=row["errors"],
        rate_limited=row["rate_limited"],
        retries=row["retries"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cache_read_tokens=row["cache_read_tokens"],
        cache_write_tokens=row["cache_write_tokens"],
        avoided_usd=read_amount_or_none(row["avoided_usd"]),
        latency_ms=_percentiles(row["latency_ms"]),
        ttft_ms=_percentiles(row["ttft_ms"]),
    )


def _period(row: Json) -> Period:
    return Period(
        from_at=read_time(row["from"]),
        calls=row["calls"],
        errors=row["errors"],
        unpriced_calls=row["unpriced_calls"],
        cost_usd=read_amount_or_none(row["cost_usd"]),
        avoided_usd=read_amount_or_none(row["avoided_usd"]),
        error_rate=row["error_rate"],
        latency_ms=_percentiles(row["latency_ms"]),
        lost_by_reason=row["lost_by_reason"],
    )


def _projection(row: Json) -> Projection:
    return Projection(read_amount(row["cost_usd"]), read_amount(row["low_usd"]), read_amount(row["high_usd"]))


def _percentiles(row: Json) -> Percentiles:
    return Percentiles(row["p50"], row["p95"], row["p99"])
