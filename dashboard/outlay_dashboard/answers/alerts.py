"""What fires, what has fired, and who was told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from outlay_dashboard.answers.values import Json, Pairs, read_amount_or_none, read_pairs, read_time, read_time_or_none


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


def read_alerts(answer: Json) -> tuple[Alert, ...]:
    return tuple(
        Alert(
            rule=row["rule"],
            group=read_pairs(row["group"]),
            state=row["state"],
            health=row["health"],
            value=read_amount_or_none(row["value"]),
            threshold=read_amount_or_none(row["threshold"]),
            unit=row["unit"],
            severity=row["severity"],
            since=read_time_or_none(row["since"]),
            reason=row["reason"],
        )
        for row in answer["alerts"]
    )


def read_transitions(answer: Json) -> tuple[Transition, ...]:
    return tuple(
        Transition(
            rule=row["rule"],
            group=read_pairs(row["group"]),
            from_state=row["from"],
            to_state=row["to"],
            at=read_time(row["at"]),
            severity=row["severity"],
            value=read_amount_or_none(row["value"]),
            unit=row["unit"],
            reason=row["reason"],
            deliveries=tuple(
                Delivery(sent["channel"], sent["status"], sent["attempts"], sent["error"]) for sent in row["deliveries"]
            ),
        )
        for row in answer["transitions"]
    )
