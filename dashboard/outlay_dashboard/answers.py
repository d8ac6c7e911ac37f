"""What the collector's HTTP API answers, read into Python.

Amounts become `Decimal`, times aware `datetime`s, and what the API does not know stays None. A reader raises
`KeyError`, `TypeError` or `ValueError` where an answer lacks what it should hold; `client` makes one error of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

Json = Mapping[str, Any]
Pairs = tuple[tuple[str, str | None], ...]
"""Dimensions and their values; None is a call that did not say."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds; None where no call was measured."""

    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """One bucket of time and one value for each dimension grouped by. `bucket_at` is None without an interval.

    Counts of tokens are None where no call of the row reported them.
    """

    bucket_at: datetime | None
    group: tuple[str | None, ...]
    calls: int
    errors: int
    rate_limited: int
    retries: int
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    cost_usd: Decimal | None
    avoided_usd: Decimal | None
    unpriced_calls: int
    latency_ms: Percentiles
    ttft_ms: Percentiles


@dataclass(frozen=True, slots=True)
class Usage:
    from_at: datetime
    to_at: datetime
    rows: tuple[UsageRow, ...]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Amounts are in `unit`: usd, tokens or calls. `resets_at` is None for a rolling period."""

    name: str
    scope: Pairs
    period: str
    unit: str
    limit: Decimal
    spent: Decimal
    leased: Decimal
    remaining: Decimal
    resets_at: datetime | None
    on_limit: str
    state: str
    exhausts_at: datetime | None = None
    """At the present pace; None where it lasts until it resets."""
    held_back_calls: int = 0
    avoided_usd: Decimal | None = None
    """What those calls would have cost at most."""
    is_paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A line of the list of calls. `raw` holds the answer whole, for the page that shows everything of one call."""

    id: str
    provider: str | None
    model: str | None
    started_at: datetime
    duration_ms: float | None
    ttft_ms: float | None
    status: str
    error_type: str | None
    http_status: int | None
    retries: int
    feature: str | None
    user: str | None
    tenant: str | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cost_usd: Decimal | None
    cost_status: str
    cost_reason: str | None
    response_cache: str | None
    raw: Json


@dataclass(frozen=True, slots=True)
class Node:
    """A step or a call of a trace; its figures are of everything from it down."""

    depth: int
    kind: str
    name: str
    call_id: str | None
    duration_ms: float
    failed: bool
    calls: int
    cost_usd: Decimal | None
    unpriced_calls: int


@dataclass(frozen=True, slots=True)
class CallPage:
    calls: tuple[Call, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One rule on one group. `value` and `threshold` are in `unit`: usd, ratio, ms, times or count."""

    rule: str
    group: Pairs
    state: str
    health: str
    value: Decimal | None
    threshold: Decimal | None
    unit: str
    severity: str
    since: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    channel: str
    status: str
    attempts: int
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    rule: str
    group: Pairs
    from_state: str
    to_state: str
    at: datetime
    severity: str
    value: Decimal | None
    unit: str
    reason: str | None
    deliveries: tuple[Delivery, ...]


def read_usage(answer: Json) -> Usage:
    dimensions = tuple(answer["group_by"])
    rows = tuple(_usage_row(row, dimensions) for row in answer["rows"])
    return Usage(_time(answer["from"]), _time(answer["to"]), rows)


def read_summary(answer: Json) -> Summary:
    projected = answer["projected_month_end"]
    return Summary(
        now=_time(answer["now"]),
        today=_period(answer["today"]),
        month_to_date=_period(answer["month_to_date"]),
        projected_month_end=projected
        and Projection(_amount(projected["cost_usd"]), _amount(projected["low_usd"]), _amount(projected["high_usd"])),
    )


def read_budgets(answer: Json) -> tuple[Budget, ...]:
    return tuple(
        Budget(
            name=row["name"],
            scope=_pairs(row["scope"]),
            period=row["period"],
            unit=row["unit"],
            limit=_amount(row["limit"]),
            spent=_amount(row["spent"]),
            leased=_amount(row["leased"]),
            remaining=_amount(row["remaining"]),
            resets_at=_time_or_none(row["resets_at"]),
            on_limit=row["on_limit"],
            state=row["state"],
            exhausts_at=_time_or_none(row["exhausts_at"]),
            held_back_calls=row["held_back_calls"],
            avoided_usd=_amount_or_none(row["avoided_usd"]),
            is_paused=row["paused"],
        )
        for row in answer["budgets"]
    )


def read_calls(answer: Json) -> CallPage:
    return CallPage(tuple(read_call(row) for row in answer["calls"]), answer["next_cursor"])


def read_trace(answer: Json) -> tuple[Node, ...]:
    return tuple(
        Node(
            depth=row["depth"],
            kind=row["kind"],
            name=row["name"],
            call_id=None if row["call_id"] is None else str(row["call_id"]),
            duration_ms=row["duration_ms"],
            failed=row["failed"],
            calls=row["calls"],
            cost_usd=_amount_or_none(row["cost_usd"]),
            unpriced_calls=row["unpriced_calls"],
        )
        for row in answer["tree"]
    )


def read_call(row: Json) -> Call:
    return Call(
        id=str(row["id"]),
        provider=row["provider"],
        model=row["model"] or row["model_requested"],
        started_at=_time(row["started_at"]),
        duration_ms=row["duration_ms"],
        ttft_ms=row["ttft_ms"],
        status=row["status"],
        error_type=row["error_type"],
        http_status=row["http_status"],
        retries=row["retries"],
        feature=row["feature"],
        user=row["user"],
        tenant=row["tenant"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cache_read_tokens=row["cache_read_tokens"],
        cost_usd=_amount_or_none(row["cost_usd"]),
        cost_status=row["cost_status"],
        cost_reason=row["cost_reason"],
        response_cache=row["response_cache"],
        raw=row,
    )


def read_alerts(answer: Json) -> tuple[Alert, ...]:
    return tuple(
        Alert(
            rule=row["rule"],
            group=_pairs(row["group"]),
            state=row["state"],
            health=row["health"],
            value=_amount_or_none(row["value"]),
            threshold=_amount_or_none(row["threshold"]),
            unit=row["unit"],
            severity=row["severity"],
            since=_time_or_none(row["since"]),
            reason=row["reason"],
        )
        for row in answer["alerts"]
    )


def read_transitions(answer: Json) -> tuple[Transition, ...]:
    return tuple(
        Transition(
            rule=row["rule"],
            group=_pairs(row["group"]),
            from_state=row["from"],
            to_state=row["to"],
            at=_time(row["at"]),
            severity=row["severity"],
            value=_amount_or_none(row["value"]),
            unit=row["unit"],
            reason=row["reason"],
            deliveries=tuple(
                Delivery(sent["channel"], sent["status"], sent["attempts"], sent["error"]) for sent in row["deliveries"]
            ),
        )
        for row in answer["transitions"]
    )


def _usage_row(row: Json, dimensions: tuple[str, ...]) -> UsageRow:
    return UsageRow(
        bucket_at=_time_or_none(row["bucket"]),
        group=tuple(row[dimension] for dimension in dimensions),
        calls=row["calls"],
        errors=row["errors"],
        rate_limited=row["rate_limited"],
        retries=row["retries"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cache_read_tokens=row["cache_read_tokens"],
        cache_write_tokens=row["cache_write_tokens"],
        cost_usd=_amount_or_none(row["cost_usd"]),
        avoided_usd=_amount_or_none(row["avoided_usd"]),
        unpriced_calls=row["unpriced_calls"],
        latency_ms=_percentiles(row["latency_ms"]),
        ttft_ms=_percentiles(row["ttft_ms"]),
    )


def _period(row: Json) -> Period:
    return Period(
        from_at=_time(row["from"]),
        calls=row["calls"],
        errors=row["errors"],
        unpriced_calls=row["unpriced_calls"],
        cost_usd=_amount_or_none(row["cost_usd"]),
        avoided_usd=_amount_or_none(row["avoided_usd"]),
        error_rate=row["error_rate"],
        latency_ms=_percentiles(row["latency_ms"]),
        lost_by_reason=row["lost_by_reason"],
    )


def _percentiles(row: Json) -> Percentiles:
    return Percentiles(row["p50"], row["p95"], row["p99"])


def _pairs(mapping: Json) -> Pairs:
    return tuple(mapping.items())


def _amount(value: str | int) -> Decimal:
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{value!r} is not an amount") from None


def _amount_or_none(value: str | None) -> Decimal | None:
    return None if value is None else _amount(value)


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return at


def _time_or_none(text: str | None) -> datetime | None:
    return None if text is None else _time(text)
