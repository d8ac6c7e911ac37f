"""Asks a collector's database for leases, settles them, and says how the one budget stands."""

from __future__ import annotations

from typing import Any

from outlay.budgets.budget import Budget
from outlay.budgets.definition import read_budget
from outlay.budgets.lease import Ask, Grant, LeaseRequest, Settlement, SettleRequest
from outlay_collector.budget_states import BudgetState, budget_states
from outlay_collector.budgets import lend, settle
from outlay_collector.store.definitions import put_definition
from sqlalchemy import Engine

NANO = 10**9
NOON = 1_795_608_000 * NANO  # 2026-11-25T12:00:00Z
MIDNIGHT = NOON + 12 * 3600 * NANO
USD = 1_000_000_000


def define(engine: Engine, **keys: Any) -> Budget:
    budget = read_budget({"name": "bot", "limit": {"usd": 10}} | keys, "test")
    with engine.begin() as connection:
        put_definition(connection, budget, "api", NOON)
    return budget


def ask(
    engine: Engine,
    lease: str,
    need: int,
    *,
    known: int = 0,
    want: int = 0,
    scope: tuple[str, ...] = (),
    now: int = NOON,
) -> Grant:
    want = max(need, want)
    one = Ask(lease=lease, budget="bot", scope=list(scope), known=known, need=need, want=want)
    (grant,) = lend(engine, LeaseRequest(holder=f"h-{lease}", asks=[one]), now).grants
    return grant


def spend(engine: Engine, lease: str, amount: int, *, number: str = "1", now: int = NOON, **span: str) -> None:
    one = Settlement(id=f"{lease}:{number}", lease=lease, amount=amount, at_ns=now, **span)
    settle(engine, SettleRequest(holder="h", settlements=[one]), now)


def state(engine: Engine, now: int = NOON) -> BudgetState:
    (found,) = budget_states(engine, now)
    return found


def amounts(engine: Engine, now: int = NOON) -> tuple[int, int]:
    found = state(engine, now)
    return found.spent, found.leased
