"""What the collector counts against a limit: each call once, in its own window and scope."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from outlay.budgets.lease import Settlement, SettleRequest
from outlay.model import ResponseCache
from outlay_collector.budget_states import budget_states
from outlay_collector.budgets import settle
from outlay_collector.periods import to_ns
from outlay_collector.store.budgets import GRACE_S, LEASE_S
from sqlalchemy import Engine

from tests.budgets.lending import MIDNIGHT, NANO, NOON, USD, amounts, ask, define, spend, state


def test_the_same_settlement_again_counts_once(engine: Engine) -> None:
    define(engine)
    ask(engine, "a", need=3 * USD)
    spend(engine, "a", USD)
    spend(engine, "a", USD)
    assert amounts(engine) == (USD, 2 * USD)


def test_a_settlement_and_the_span_of_its_call_count_once(engine: Engine, arrive: Callable[..., None]) -> None:
    define(engine)
    ask(engine, "a", need=3 * USD)
    spend(engine, "a", USD, trace_id="t", span_id="s")
    assert amounts(engine) == (USD, 2 * USD)
    arrive(NOON, USD, ("t", "s"))
    assert amounts(engine) == (USD, 2 * USD)


def test_a_repriced_call_counts_at_its_new_cost(engine: Engine, arrive: Callable[..., None]) -> None:
    define(engine)
    ask(engine, "a", need=10 * USD)
    spend(engine, "a", 10 * USD, trace_id="t", span_id="s")
    assert ask(engine, "b", need=USD).granted == 0
    arrive(NOON, USD // 10, ("t", "s"))
    assert amounts(engine) == (USD // 10, 0)
    assert ask(engine, "b", need=USD).granted == USD


@pytest.mark.parametrize(
    ("at_ns", "cost", "provider"), [(NOON, USD, "anthropic"), (MIDNIGHT, USD, "openai"), (NOON, None, "openai")]
)
def test_a_settlement_counts_until_its_call_counts_in_the_same_place(
    engine: Engine, arrive: Callable[..., None], at_ns: int, cost: int | None, provider: str
) -> None:
    define(engine, match={"provider": "openai"})
    ask(engine, "a", need=3 * USD)
    spend(engine, "a", USD, trace_id="t", span_id="s")
    arrive(at_ns, cost, ("t", "s"), provider=provider)
    assert amounts(engine) == (USD, 2 * USD)


def test_calls_that_others_report_count_too(engine: Engine, arrive: Callable[..., None]) -> None:
    define(engine, match={"feature": ["chat"]})
    arrive(NOON, 7 * USD, feature="chat")
    arrive(NOON, 50 * USD, feature="other")
    arrive(NOON, None, feature="chat")
    arrive(NOON - 86_400 * NANO, 5 * USD, feature="chat")
    assert amounts(engine) == (7 * USD, 0)
    assert ask(engine, "a", need=4 * USD).granted == 0


def test_an_answer_of_the_response_cache_costs_no_budget(engine: Engine, arrive: Callable[..., None]) -> None:
    define(engine, limit={"calls": 2})
    arrive(NOON, 0, cache=ResponseCache.HIT)
    arrive(NOON, 5, cache=ResponseCache.MISS)
    assert state(engine).spent == 1


def test_each_user_has_the_limit(engine: Engine, arrive: Callable[..., None]) -> None:
    define(engine, per=["user", "tag.team"])
    arrive(NOON, 9 * USD, user="ann", tags={"team": "x"})
    arrive(NOON, 8 * USD, user="bob", tags={"team": "x"})
    arrive(NOON, 8 * USD, tags={"team": "x"})
    assert ask(engine, "a", need=2 * USD, scope=("ann", "x")).granted == 0
    assert ask(engine, "b", need=2 * USD, scope=("bob", "x")).granted == 2 * USD
    assert ask(engine, "c", need=2 * USD, scope=("cid", "y")).granted == 2 * USD
    found = {each.scope: (each.spent, each.leased, each.state) for each in budget_states(engine, NOON)}
    assert found == {
        ("ann", "x"): (9 * USD, 0, "exhausted"),
        ("bob", "x"): (8 * USD, 2 * USD, "warning"),
        ("cid", "y"): (0, 2 * USD, "ok"),
    }


def test_a_settlement_of_one_user_counts_there_though_its_span_names_another(
    engine: Engine, arrive: Callable[..., None]
) -> None:
    define(engine, per=["user"])
    ask(engine, "a", need=USD, scope=("ann",))
    spend(engine, "a", USD, trace_id="t", span_id="s")
    arrive(NOON, USD, ("t", "s"), user="bob")
    assert {each.scope: each.spent for each in budget_states(engine, NOON)} == {("ann",): USD, ("bob",): USD}


@pytest.mark.parametrize(
    ("limit", "usage", "counted"),
    [
        ({"tokens": 1000}, {"input": 20, "cache_read": 10, "output": 12, "reasoning": 5}, 42),
        ({"tokens": 1000}, {"input": 30}, 30),
        ({"tokens": 1000}, {}, 0),
        ({"calls": 10}, {}, 1),
    ],
)
def test_tokens_and_calls_are_counted_where_the_limit_says_so(
    engine: Engine, arrive: Callable[..., None], limit: dict[str, int], usage: dict[str, int], counted: int
) -> None:
    define(engine, limit=limit)
    arrive(NOON, None, usage=usage)
    assert state(engine).spent == counted


def test_what_a_dead_lease_settles_late_still_counts(engine: Engine) -> None:
    define(engine)
    ask(engine, "a", need=10 * USD)
    late = NOON + (LEASE_S + GRACE_S + 5) * NANO
    spend(engine, "a", 4 * USD, now=late)
    assert amounts(engine, late) == (4 * USD, 0)


def test_a_call_that_began_before_midnight_and_settles_after_counts_in_its_own_day(engine: Engine) -> None:
    define(engine)
    ask(engine, "a", need=10 * USD, now=MIDNIGHT - 10 * NANO)
    spend(engine, "a", 3 * USD, now=MIDNIGHT + 30 * NANO)
    assert amounts(engine, MIDNIGHT + 31 * NANO) == (0, 0)
    assert amounts(engine, MIDNIGHT - 1) == (3 * USD, 7 * USD)


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NANO


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        ("day", "2026-03-28T23:00", "2026-03-29T22:00"),  # Berlin's day of 23 hours
        ("day", "2026-10-24T22:00", "2026-10-25T23:00"),  # and of 25
        ("hour", "2026-10-25T00:00", "2026-10-25T01:00"),  # from two to three, the first time
        ("hour", "2026-10-25T01:00", "2026-10-25T02:00"),  # and the second
        ("month", "2026-09-30T22:00", "2026-10-31T23:00"),
    ],
)
def test_a_call_counts_from_the_first_instant_of_a_local_window_to_the_last(
    engine: Engine, arrive: Callable[..., None], period: str, start: str, end: str
) -> None:
    define(engine, period=period, timezone="Europe/Berlin")
    for at_ns in (utc(start) - 1, utc(start), utc(end) - 1, utc(end)):
        arrive(at_ns, USD)
    for now in (utc(start), utc(end) - 1000):
        found = state(engine, now)
        assert (found.spent, to_ns(found.window.start), found.window.end and to_ns(found.window.end)) == (
            2 * USD, utc(start), utc(end),
        )  # fmt: skip


def test_a_rolling_window_forgets_what_slid_out_of_it(engine: Engine, arrive: Callable[..., None]) -> None:
    define(engine, period="rolling 24h")
    arrive(NOON, 6 * USD)
    day = 24 * 3600 * NANO
    assert amounts(engine, NOON + day) == (6 * USD, 0)
    assert amounts(engine, NOON + day + 1000) == (0, 0)


def test_a_wrong_clock_cannot_move_a_settlement_out_of_sight(engine: Engine) -> None:
    define(engine, period="rolling 24h")
    ask(engine, "a", need=5 * USD)
    one = Settlement(id="1", lease="a", amount=USD, at_ns=0)
    two = Settlement(id="2", lease="a", amount=USD, at_ns=NOON * 2)
    settle(engine, SettleRequest(holder="h", settlements=[one, two]), NOON)
    assert amounts(engine) == (2 * USD, 3 * USD)


def test_a_call_dearer_than_its_reservation_counts_in_full(engine: Engine) -> None:
    define(engine)
    ask(engine, "a", need=USD)
    spend(engine, "a", 4 * USD)
    assert amounts(engine) == (4 * USD, 0)


def test_a_settlement_of_an_unknown_lease_is_passed_over(engine: Engine) -> None:
    define(engine)
    spend(engine, "nobody", USD)
    assert amounts(engine) == (0, 0)
