"""Budgets, and what stands against them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from outlay_dashboard.answers.values import Json, Pairs, read_amount, read_amount_or_none, read_pairs, read_time_or_none


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


def read_budgets(answer: Json) -> tuple[Budget, ...]:
    return tuple(
        Budget(
            name=row["name"],
            scope=read_pairs(row["scope"]),
            period=row["period"],
            unit=row["unit"],
            limit=read_amount(row["limit"]),
            spent=read_amount(row["spent"]),
            leased=read_amount(row["leased"]),
            remaining=read_amount(row["remaining"]),
            resets_at=read_time_or_none(row["resets_at"]),
            on_limit=row["on_limit"],
            state=row["state"],
            exhausts_at=read_time_or_none(row["exhausts_at"]),
            held_back_calls=row["held_back_calls"],
            avoided_usd=read_amount_or_none(row["avoided_usd"]),
            is_paused=row["paused"],
        )
        for row in answer["budgets"]
    )
