"""How a budget stands: where its spend is going, what it held back, who holds it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from outlay.budgets.definition import read_budget
from outlay.budgets.lease import Ask, LeaseRequest, Refusal, Renewal, Settlement, SettleRequest
from outlay_collector.budget_states import Projection, budget_states, project
from outlay_collector.budgets import lend, settle
from outlay_collector.store.budgets import LEASE_S
from outlay_collector.store.definitions import put_definition
from outlay_collector.store.engine import reading
from outlay_collector.store.leases import holders
from sqlalchemy import Engine

NANO = 10**9
USD = NANO
HOUR = 3_600 * NANO
NOON = 1_795_608_000 * NANO  # 2026-11-25T12:00:00Z
AT_NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def budget(**keys: Any) -> Any:
    return read_budget({"name": "bot", "limit": {"usd": 10}} | keys, "test")


def define(engine: Engine, **keys: Any) -> None:
    with engine.begin() as connection:
        put_definition(connection, budget(**keys), "api", NOON)


def refusal(number: int, **keys: Any) -> Refusal:
    whose = {"service": "shop", "feature": None, "user": None}
    what = {"provider": "openai", "model": "gpt-4o", "calls": 2, "avoided_nano_usd": 3, "at_ns": NOON}
    known: dict[str, Any] = {"budget": "bot", "scope": [], "reason": "no_room"} | whose | what
    return Refusal(id=str(number), **(known | keys))


@pytest.mark.parametrize(
    ("keys", "spent", "recent", "expected"),
    [
        # $4 spent by noon, $1 in the last hour: 12 hours are left for $6
        ({}, 4, 1, Projection(16 * USD, AT_NOON + timedelta(hours=6))),
        ({}, 4, 0.25, Projection(7 * USD, None)),
        ({}, 4, 0, Projection(4 * USD, None)),
        ({}, 11, 1, Projection(23 * USD, None)),  # it is gone already
        ({"period": "rolling 24h"}, 4, 1, Projection(24 * USD, AT_NOON + timedelta(hours=6))),
        ({"period": "rolling 24h"}, 4, 0.25, Projection(6 * USD, None)),
    ],
)
def test_a_projection_goes_on_at_the_pace_of_late(
    keys: dict[str, Any], spent: float, recent: float, expected: Projection
) -> None:
    daily = budget(**keys)
    window = daily.window(AT_NOON)
    found = project(daily, window, int(spent * USD), int(recent * USD), timedelta(hours=1), AT_NOON)
    assert found == expected


def test_the_pace_is_that_of_the_last_hour_of_a_day(engine: Engine, arrive: Callable[..., None]) -> None:
    define(engine)
    arrive(NOON - 5 * HOUR, 3 * USD)
    arrive(NOON - HOUR // 2, USD)
    (state,) = budget_states(engine, NOON)
    assert state.projection == Projection(16 * USD, AT_NOON + timedelta(hours=6))


def test_each_user_has_a_pace_and_a_new_day_has_none(engine: Engine, arrive: Callable[..., None]) -> None:
    define(engine, per=["user"])
    arrive(NOON - HOUR // 2, USD, user="ann")
    arrive(NOON - 2 * HOUR, USD, user="bob")
    ann, bob = budget_states(engine, NOON)
    assert ann.projection == Projection(13 * USD, AT_NOON + timedelta(hours=9))
    assert bob.projection == Projection(USD, None)
    midnight = NOON + 12 * HOUR
    arrive(midnight + NANO, USD, user="ann")
    (ann,) = budget_states(engine, midnight + 2 * NANO)
    assert ann.projection is None


def test_calls_held_back_count_once_and_in_their_window(engine: Engine) -> None:
    define(engine, per=["user"])
    told = SettleRequest(
        holder="h",
        refusals=[
            refusal(1, scope=["ann"]),
            refusal(2, scope=["ann"], avoided_nano_usd=None),
            refusal(3, scope=["bob"], avoided_nano_usd=None),
            refusal(4, scope=["ann"], at_ns=NOON - 24 * HOUR),
        ],
    )
    for _ in range(2):
        settle(engine, told, NOON)
    ann, bob = budget_states(engine, NOON)
    assert (ann.scope, ann.held_back.calls, ann.held_back.avoided_nano_usd) == (("ann",), 4, 3)
    assert (bob.scope, bob.held_back.calls, bob.held_back.avoided_nano_usd) == (("bob",), 2, None)


def test_a_refusal_of_a_process_whose_clock_is_ahead_counts_now(engine: Engine) -> None:
    define(engine)
    settle(engine, SettleRequest(holder="h", refusals=[refusal(1, at_ns=NOON + 48 * HOUR)]), NOON)
    (state,) = budget_states(engine, NOON)
    assert state.held_back.calls == 2


def test_a_call_that_a_lease_was_too_small_for_is_held_back_once_the_lease_is_back_too(engine: Engine) -> None:
    """Two dollars are spent and one is in hand; of ten that makes room for eight, and a call takes nine."""
    define(engine)
    ask = Ask(lease="a", budget="bot", scope=[], known=0, need=3 * USD, want=3 * USD)
    lend(engine, LeaseRequest(holder="h", asks=[ask]), NOON)
    spent = [Settlement(id="1", lease="a", amount=2 * USD, at_ns=NOON)]
    settle(engine, SettleRequest(holder="h", settlements=spent), NOON)
    ask = Ask(lease="a", budget="bot", scope=[], known=3 * USD, need=8 * USD, want=8 * USD, amount=9 * USD)
    lend(engine, LeaseRequest(holder="h", asks=[ask]), NOON)
    back = [Renewal(lease="a", returned=USD, keep=False)]
    for renewals, leased in (([], USD), (back, 0)):
        settle(engine, SettleRequest(holder="h", renewals=renewals), NOON)
        (state,) = budget_states(engine, NOON)
        assert (state.spent, state.leased, state.refused, state.state) == (2 * USD, leased, True, "exhausted")


def test_who_holds_a_lease_is_known_by_process(engine: Engine) -> None:
    define(engine)
    for holder, need in (("small", 1), ("large", 2)):
        ask = Ask(lease=holder, budget="bot", scope=[], known=0, need=need * USD, want=need * USD)
        lend(engine, LeaseRequest(holder=holder, asks=[ask]), NOON)
    with reading(engine) as connection:
        found = holders(connection, budget(), budget().window(AT_NOON), NOON)
    assert [(each.holder, each.leased, each.settled) for each in found] == [("large", 2 * USD, 0), ("small", USD, 0)]
    assert {each.expires_at_ns for each in found} == {NOON + LEASE_S * NANO}


def test_a_ceiling_per_trace_counts_the_calls_below_a_parent(engine: Engine, arrive: Callable[..., None]) -> None:
    define(engine, per=["trace"])
    arrive(NOON - HOUR, USD, ("t1", "s1"), parent="p")
    arrive(NOON - HOUR, USD, ("t1", "s2"), parent="p")
    arrive(NOON - HOUR, USD, ("t2", "s3"))  # a trace of its own
    (state,) = budget_states(engine, NOON)
    assert (state.scope, state.spent) == (("t1",), 2 * USD)
