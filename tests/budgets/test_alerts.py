"""What people are told when a budget runs low: the words of the alert, from calls in the database to the verdict."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from outlay.budgets.definition import read_budget
from outlay.budgets.lease import Ask, LeaseRequest
from outlay_alerts.rules.budget import BudgetRule
from outlay_collector.alerting import StoreReaders
from outlay_collector.budgets import lend
from outlay_collector.store.definitions import put_definition
from sqlalchemy import Engine

NANO = USD = 10**9
NOON = 1_795_608_000 * NANO  # 2026-11-25T12:00:00Z
MINUTE = 60 * NANO


def reasons(engine: Engine) -> list[str]:
    rule = BudgetRule(name="budgets")
    readers = StoreReaders(cast(Any, None), engine)  # budgets are read from the database alone
    now = datetime.fromtimestamp(NOON // NANO, UTC)
    return [f"{each.outcome.value}: {each.reason}" for each in rule.judge(readers, now)]


def define(engine: Engine) -> None:
    with engine.begin() as connection:
        put_definition(connection, read_budget({"name": "bot", "limit": {"usd": 10}}, "test"), "api", NOON)


def test_a_threshold_says_when_the_budget_will_be_gone(engine: Engine, arrive: Callable[..., None]) -> None:
    """$6 this morning and $2.40 within the last hour, a 24th of the day: the $1.60 left last 40 minutes."""
    define(engine)
    arrive(NOON - 360 * MINUTE, 6 * USD)
    arrive(NOON - 30 * MINUTE, 2_400_000_000)
    soft, hard = reasons(engine)
    ends = "; at this pace gone 2026-11-25 12:40 UTC; resets 2026-11-26 00:00 UTC"
    assert soft == f'breached: budget "bot": $8.40 of $10.00 spent (84%, at or over 80%){ends}'
    assert hard == f'ok: budget "bot": $8.40 of $10.00 spent (84%, under 100%){ends}'


def test_a_budget_that_holds_calls_back_says_so_before_it_is_all_spent(
    engine: Engine, arrive: Callable[..., None]
) -> None:
    define(engine)
    arrive(NOON - 360 * MINUTE, 9 * USD)
    ask = Ask(lease="a", budget="bot", scope=[], known=0, need=2 * USD, want=2 * USD)
    lend(engine, LeaseRequest(holder="test", asks=[ask]), NOON)
    soft, hard = reasons(engine)
    told = "; calls are held back; resets 2026-11-26 00:00 UTC"
    assert soft == f'breached: budget "bot": $9.00 of $10.00 spent (90%, at or over 80%){told}'
    assert hard == f'breached: budget "bot": $9.00 of $10.00 spent (90%, under 100%){told}'
