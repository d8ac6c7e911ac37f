"""What the collector lends, for how long, and what becomes of what is not given back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from outlay.budgets.lease import Ask, LeaseAnswer, LeaseRequest, Renewal, SettleRequest
from outlay_collector.budgets import lend, settle, size
from outlay_collector.store.budgets import GRACE_S, LEASE_S
from sqlalchemy import Engine

from tests.budgets.lending import MIDNIGHT, NANO, NOON, USD, amounts, ask, define, spend, state


def test_a_lease_is_what_is_needed_and_a_share_of_what_is_left(engine: Engine) -> None:
    define(engine)
    grant = ask(engine, "a", need=USD, want=100 * USD)
    assert grant.granted == 1_250_000_000  # an eighth of ten
    assert (grant.limit, grant.spent, grant.leased) == (10 * USD, 0, 1_250_000_000)
    assert grant.expires_in_s == LEASE_S
    other = ask(engine, "b", need=USD, want=100 * USD)
    assert other.granted == USD  # a sixteenth of what is left is less than what is needed
    assert amounts(engine) == (0, 2_250_000_000)


def test_nothing_is_lent_where_there_is_no_room_for_the_need(engine: Engine) -> None:
    define(engine)
    ask(engine, "a", need=9 * USD)
    refused = ask(engine, "b", need=2 * USD)
    assert (refused.granted, refused.spent, refused.leased) == (0, 0, 9 * USD)
    assert ask(engine, "b", need=USD).granted == USD


def test_the_same_ask_again_grants_nothing_more(engine: Engine) -> None:
    define(engine)
    first = ask(engine, "a", need=3 * USD)
    assert ask(engine, "a", need=3 * USD) == first
    more = ask(engine, "a", need=3 * USD, known=first.granted)
    assert more.granted == 6 * USD
    assert amounts(engine) == (0, 6 * USD)


def test_what_is_handed_back_can_be_lent_again(engine: Engine) -> None:
    define(engine)
    ask(engine, "a", need=10 * USD)
    for _ in range(2):
        settle(engine, SettleRequest(holder="h", renewals=[Renewal(lease="a", returned=4 * USD)]), NOON)
    assert amounts(engine) == (0, 6 * USD)
    assert ask(engine, "b", need=4 * USD).granted == 4 * USD


def test_a_dead_process_keeps_its_lease_until_its_spans_had_time_to_arrive(engine: Engine) -> None:
    define(engine)
    ask(engine, "a", need=10 * USD)
    late = NOON + (LEASE_S + GRACE_S) * NANO
    assert ask(engine, "b", need=USD, now=late - 1).granted == 0
    assert ask(engine, "b", need=USD, now=late).granted == USD


def test_a_lease_lives_on_while_its_process_says_so(engine: Engine) -> None:
    define(engine)
    ask(engine, "a", need=10 * USD)
    now = NOON
    for _ in range(10):
        now += LEASE_S // 2 * NANO
        answer = settle(engine, SettleRequest(holder="h", renewals=[Renewal(lease="a", returned=0)]), now)
        assert answer.expires_in_s == {"a": LEASE_S}
    assert ask(engine, "b", need=USD, now=now).granted == 0


def test_a_lease_that_was_given_up_is_not_revived(engine: Engine) -> None:
    define(engine)
    ask(engine, "a", need=10 * USD)
    late = NOON + (LEASE_S + GRACE_S) * NANO
    answer = settle(engine, SettleRequest(holder="h", renewals=[Renewal(lease="a", returned=0)]), late)
    assert answer.expires_in_s == {}
    gone = ask(engine, "a", need=USD, known=10 * USD, now=late)
    assert (gone.granted, gone.expires_in_s) == (10 * USD, 0)


def test_a_new_window_starts_with_nothing_spent_and_old_leases_gone(engine: Engine) -> None:
    define(engine)
    grant = ask(engine, "a", need=10 * USD, now=MIDNIGHT - 10 * NANO)
    assert grant.expires_in_s == 10
    assert ask(engine, "a", need=USD, known=10 * USD, now=MIDNIGHT).expires_in_s == 0
    assert ask(engine, "b", need=10 * USD, now=MIDNIGHT).granted == 10 * USD


def test_an_ask_for_a_budget_nobody_defined_gets_no_grant(engine: Engine) -> None:
    one = Ask(lease="a", budget="gone", scope=[], known=0, need=1, want=1)
    assert lend(engine, LeaseRequest(holder="h", asks=[one]), NOON).grants == []


def test_definitions_are_sent_once_and_again_when_they_change(engine: Engine) -> None:
    budget = define(engine)
    define(engine, name="soft", on_limit="alert")
    first: LeaseAnswer = lend(engine, LeaseRequest(holder="h"), NOON)
    assert first.budgets == [budget.entry()]
    assert lend(engine, LeaseRequest(holder="h", version=first.version), NOON).budgets is None
    define(engine, limit={"usd": 20})
    second = lend(engine, LeaseRequest(holder="h", version=first.version), NOON)
    assert second.budgets is not None
    assert second.budgets[0]["limit"] == {"usd": "20"}


def test_a_hard_budget_that_turned_a_call_away_is_exhausted_until_there_is_room(engine: Engine) -> None:
    define(engine)
    ask(engine, "a", need=9 * USD)
    spend(engine, "a", 9 * USD)
    assert state(engine).state == "warning"
    ask(engine, "b", need=2 * USD)
    assert state(engine).state == "exhausted"
    define(engine, limit={"usd": 30})
    assert state(engine).state == "ok"


@pytest.mark.parametrize(
    ("need", "want", "room", "others", "more"),
    [
        (1, 1, 0, 0, None),
        (5, 5, 4, 0, None),
        (5, 5, 5, 0, 5),
        (5, 100, 100, 0, 12),
        (5, 100, 100, 4, 5),
        (0, 100, 100, 1, 3),
        (0, 1_000, 1_000, 4, 12),
        (0, 100, -5, 0, 0),
        (-3, -3, 100, 0, 0),
    ],
)
def test_a_grant_is_the_need_and_at_most_a_share_on_top(
    need: int, want: int, room: int, others: int, more: int | None
) -> None:
    assert size(need, want, room, others) == more


def test_a_grant_after_a_grant_needs_no_new_sum_and_a_refusal_is_always_worked_out_anew(
    engine: Engine, arrive: Callable[..., None]
) -> None:
    define(engine)
    assert ask(engine, "a", need=USD).granted == USD
    arrive(NOON, 8 * USD)
    assert ask(engine, "a", need=2 * USD, known=USD).granted == 3 * USD  # what no lease covers is seen within seconds
    assert ask(engine, "b", need=USD, now=NOON + 5 * NANO).granted == 0
    settle(engine, SettleRequest(holder="h", renewals=[Renewal(lease="a", returned=3 * USD)]), NOON + 5 * NANO)
    assert ask(engine, "b", need=2 * USD, now=NOON + 5 * NANO).granted == 2 * USD
