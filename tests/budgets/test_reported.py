"""What calls cost, read from rollups where these know: the same as from the calls, at any moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from outlay.budgets.definition import read_budget
from outlay_collector.periods import from_ns
from outlay_collector.rolling import sum_up_all
from outlay_collector.store.budgets import standings
from outlay_collector.store.engine import reading
from outlay_collector.store.schema import CALLS
from sqlalchemy import Engine, update

NANO = 10**9
HOUR = 3_600 * NANO
NOON = 1_795_608_000 * NANO  # 2026-11-25T12:00:00Z


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        # 75 hours of calls: the one n hours ago cost n + 1, and the even ones are chat's
        ({"period": "month"}, {(): sum(range(1, 76))}),
        ({"period": "day"}, {(): sum(range(1, 14))}),
        ({"period": "rolling 30h"}, {(): sum(range(1, 32))}),
        ({"period": "day", "timezone": "Asia/Kathmandu"}, {(): sum(range(1, 19))}),  # from 18:15 UTC the day before
        ({"period": "month", "match": {"feature": "chat"}}, {(): sum(range(1, 76, 2))}),
        (
            {"period": "month", "per": ["feature"]},
            {("chat",): sum(range(1, 76, 2)), ("search",): sum(range(2, 76, 2))},
        ),
        ({"period": "month", "per": ["user"]}, {("ann",): sum(range(1, 76))}),
        ({"period": "month", "limit": {"calls": 99}}, {(): 75}),
    ],
)
def test_sums_are_the_same_before_and_after_periods_are_summed_up(
    engine: Engine, arrive: Callable[..., None], keys: dict[str, Any], expected: dict[Any, int]
) -> None:
    for ago in range(75):
        feature = "search" if ago % 2 else "chat"
        arrive(NOON - ago * HOUR, ago + 1, feature=feature, user="ann", environment="prod", service=f"s{ago % 3}")
    budget = read_budget({"name": "bot", "limit": {"usd": 10}} | keys, "test")

    def spent() -> dict[Any, int]:
        with reading(engine) as connection:
            found = standings(connection, budget, budget.window(from_ns(NOON)), NOON)
        return {scope: standing.spent for scope, standing in found.items()}

    assert spent() == expected
    sum_up_all(engine, NOON + HOUR)
    assert spent() == expected
    arrive(NOON - HOUR, 1_000, feature="chat", user="ann")
    late = {scope: amount + (1 if "calls" in keys.get("limit", {}) else 1_000) for scope, amount in expected.items()}
    assert spent() == (late if ("search",) not in expected else {**expected, ("chat",): late[("chat",)]})


def test_whole_periods_are_not_read_from_their_calls(engine: Engine, arrive: Callable[..., None]) -> None:
    arrive(NOON - 48 * HOUR, 5)
    sum_up_all(engine, NOON)
    with engine.begin() as connection:
        connection.execute(update(CALLS).values(cost_nano_usd=7))  # behind the back of the rollups
    for keys, spent in (({}, 5), ({"match": {"model": "gpt-4o"}}, 7)):
        budget = read_budget({"name": "bot", "limit": {"usd": 10}, "period": "month"} | keys, "test")
        with reading(engine) as connection:
            found = standings(connection, budget, budget.window(from_ns(NOON)), NOON)
        assert found[()].spent == spent
