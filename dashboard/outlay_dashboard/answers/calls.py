"""Calls one by one, and the trace a call stands in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from outlay_dashboard.answers.values import Json, read_amount_or_none, read_time


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


def read_calls(answer: Json) -> CallPage:
    return CallPage(tuple(read_call(row) for row in answer["calls"]), answer["next_cursor"])


def read_call(row: Json) -> Call:
    return Call(
        id=str(row["id"]),
        provider=row["provider"],
        model=row["model"] or row["model_requested"],
        started_at=read_time(row["started_at"]),
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
        cost_usd=read_amount_or_none(row["cost_usd"]),
        cost_status=row["cost_status"],
        cost_reason=row["cost_reason"],
        response_cache=row["response_cache"],
        raw=row,
    )


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
            cost_usd=read_amount_or_none(row["cost_usd"]),
            unpriced_calls=row["unpriced_calls"],
        )
        for row in answer["tree"]
    )
