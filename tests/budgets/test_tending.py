"""What is deleted of budgets' tables, and what stands for as long as anybody asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from outlay.budgets.definition import read_budget
from outlay.budgets.lease import Ask, LeaseRequest, Renewal, Settlement, SettleRequest
from outlay_collector.budget_states import budget_states
from outlay_collector.budgets import lend, settle
from outlay_collector.store.budgets import ACCOUNTS, LEASES, SETTLEMENTS
from outlay_collector.store.definitions import put_definition
from outlay_collector.store.engine import reading
from outlay_collector.tending import prune_all
from sqlalchemy import Engine, func, select

NANO = 10**9
DAY = 86_400 * NANO
NOON = 1_795_608_000 * NANO  # 2026-11-25T12:00:00Z


def rows(engine: Engine) -> list[int]:
    with reading(engine) as connection:
        tables = (SETTLEMENTS, LEASES, ACCOUNTS)
        return [connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


def spend(engine: Engine, name: str, period: str) -> None:
    """One call of a lease that is then given up."""
    entry: dict[str, Any] = {"name": name, "limit": {"calls": 10}, "period": period}
    with engine.begin() as connection:
        put_definition(connection, read_budget(entry, "test"), "api", NOON)
    ask = Ask(lease=name, budget=name, scope=[], known=0, need=1, want=1)
    lend(engine, LeaseRequest(holder="h", asks=[ask]), NOON)
    done = Settlement(id=name, lease=name, amount=1, at_ns=NOON)
    settle(
        engine,
        SettleRequest(holder="h", settlements=[done], renewals=[Renewal(lease=name, returned=0, keep=False)]),
        NOON,
    )


def test_settlements_go_when_their_window_is_long_over_and_their_leases_with_them(engine: Engine) -> None:
    spend(engine, "daily", "day")
    spend(engine, "monthly", "month")
    assert prune_all(engine, NOON + DAY) == 0
    assert rows(engine) == [2, 2, 2]
    assert prune_all(engine, NOON + 4 * DAY) == 3  # the settlement of the day, its lease, its account
    assert rows(engine) == [1, 1, 1]
    assert [(state.budget.name, state.spent) for state in budget_states(engine, NOON + 4 * DAY)] == [
        ("daily", 0),
        ("monthly", 1),
    ]
    assert prune_all(engine, NOON + 9 * DAY) == 3
    assert rows(engine) == [0, 0, 0]


def test_what_processes_hold_is_left_alone(engine: Engine, arrive: Callable[..., None]) -> None:
    spend(engine, "daily", "day")
    ask = Ask(lease="live", budget="daily", scope=[], known=0, need=1, want=1)
    lend(engine, LeaseRequest(holder="h", asks=[ask]), NOON + 4 * DAY)
    prune_all(engine, NOON + 4 * DAY)
    assert rows(engine) == [0, 1, 1]
    (state,) = budget_states(engine, NOON + 4 * DAY)
    assert state.leased == 1
