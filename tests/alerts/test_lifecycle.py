"""The life of an alert, look by look, and what holds whatever the looks say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outlay_alerts.lifecycle import RESOLVED_SHOWN_FOR, Health, Standing, State, advance
from outlay_alerts.verdict import Outcome

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ZERO = timedelta(0)


@dataclass(frozen=True)
class Patience:
    for_: timedelta = timedelta(minutes=5)
    keep_firing_for: timedelta = timedelta(minutes=3)
    no_data_after: timedelta = timedelta(hours=1)


def after(looks: list[tuple[float, Outcome]], patience: Patience | None = None) -> list[State]:
    """The states after looks at those minutes past noon."""
    standing, states = Standing(State.INACTIVE, since=NOON), []
    for minute, outcome in looks:
        standing = advance(standing, outcome, patience or Patience(), NOON + timedelta(minutes=minute))
        states.append(standing.state)
    return states


BAD, WELL, UNKNOWN, FAILED = Outcome.BREACHED, Outcome.OK, Outcome.UNKNOWN, Outcome.FAILED
INACTIVE, PENDING, FIRING, RESOLVED = State.INACTIVE, State.PENDING, State.FIRING, State.RESOLVED


def test_a_breach_is_pending_until_it_has_lasted() -> None:
    assert after([(0, BAD), (4.9, BAD), (5, BAD)]) == [PENDING, PENDING, FIRING]


def test_without_a_for_a_breach_fires_at_once() -> None:
    assert after([(0, BAD)], Patience(for_=ZERO)) == [FIRING]


def test_one_good_look_starts_the_wait_over() -> None:
    assert after([(0, BAD), (4, WELL), (5, BAD), (9, BAD), (10, BAD)]) == [PENDING, INACTIVE, PENDING, PENDING, FIRING]


def test_what_fires_is_resolved_once_it_has_been_well_for_long_enough() -> None:
    looks = [(0, BAD), (5, BAD), (6, BAD), (7, WELL), (8.9, WELL), (9, WELL)]
    assert after(looks) == [PENDING, FIRING, FIRING, FIRING, FIRING, RESOLVED]


def test_a_breach_while_it_keeps_firing_makes_it_keep_on() -> None:
    assert after([(0, BAD), (5, BAD), (7, WELL), (7.5, BAD), (9, WELL), (10.5, WELL)])[-2:] == [FIRING, RESOLVED]


def test_a_breach_nobody_watched_does_not_count_as_lasting() -> None:
    assert after([(0, BAD), (30, BAD), (34, BAD), (35, BAD)]) == [PENDING, PENDING, PENDING, FIRING]


def test_nothing_to_judge_by_neither_fires_nor_resolves() -> None:
    assert after([(0, UNKNOWN), (1, UNKNOWN)]) == [INACTIVE, INACTIVE]
    assert after([(0, BAD), (4, UNKNOWN), (5, BAD)]) == [PENDING, INACTIVE, PENDING]
    assert after([(0, BAD), (5, BAD), (10, UNKNOWN), (69, UNKNOWN)])[-1] is FIRING


def test_what_fires_is_let_go_when_there_was_nothing_to_judge_by_for_too_long() -> None:
    assert after([(0, BAD), (5, BAD), (10, UNKNOWN), (70, UNKNOWN)])[-1] is RESOLVED
    assert after([(0, BAD), (5, BAD), (10, UNKNOWN), (40, BAD), (70, UNKNOWN)])[-1] is FIRING


def test_a_look_that_failed_changes_nothing() -> None:
    assert after([(0, BAD), (3, FAILED), (5, BAD), (100, FAILED)]) == [PENDING, PENDING, FIRING, FIRING]


def test_resolved_is_shown_for_a_while_and_may_fire_again() -> None:
    shown = RESOLVED_SHOWN_FOR / timedelta(minutes=1)
    fired = [(0.0, BAD), (5.0, BAD), (9.0, WELL)]
    assert after([*fired, (9 + shown - 0.1, WELL), (9 + shown, WELL)])[-2:] == [RESOLVED, INACTIVE]
    assert after([*fired, (10, BAD), (15, BAD)])[-2:] == [PENDING, FIRING]


def test_since_is_when_the_state_was_entered() -> None:
    standing = Standing(State.INACTIVE, since=NOON)
    for minute in (1, 3, 6):
        standing = advance(standing, BAD, Patience(), NOON + timedelta(minutes=minute))
    assert standing == Standing(FIRING, since=NOON + timedelta(minutes=6), breached_at=NOON + timedelta(minutes=6))


@pytest.mark.parametrize(
    ("outcome", "health"), [(BAD, Health.OK), (WELL, Health.OK), (UNKNOWN, Health.NO_DATA), (FAILED, Health.ERROR)]
)
def test_health_says_whether_the_look_could_judge(outcome: Outcome, health: Health) -> None:
    assert Health.of(outcome) is health


steps = st.lists(
    st.tuples(st.integers(min_value=0, max_value=600), st.sampled_from(list(Outcome))), min_size=1, max_size=60
)
lengths = st.integers(min_value=0, max_value=1_200).map(lambda seconds: timedelta(seconds=seconds))
patiences = st.builds(Patience, for_=lengths, keep_firing_for=lengths, no_data_after=lengths)

ALLOWED = {
    (INACTIVE, PENDING),
    (INACTIVE, FIRING),
    (PENDING, FIRING),
    (PENDING, INACTIVE),
    (FIRING, RESOLVED),
    (RESOLVED, INACTIVE),
    (RESOLVED, PENDING),
    (RESOLVED, FIRING),
}


@given(steps, patiences)
def test_only_the_drawn_edges_are_ever_taken(looks: list[tuple[int, Outcome]], patience: Patience) -> None:
    standing, now = Standing(INACTIVE, since=NOON), NOON
    for seconds, outcome in looks:
        now += timedelta(seconds=seconds)
        entered = advance(standing, outcome, patience, now)
        if entered.state is not standing.state:
            assert (standing.state, entered.state) in ALLOWED
            assert entered.since == now
        elif entered.state is not PENDING:
            assert entered.since == standing.since
        standing = entered


@given(steps, patiences)
def test_nothing_fires_that_was_not_breached_for_as_long_as_it_must(
    looks: list[tuple[int, Outcome]], patience: Patience
) -> None:
    standing, now, breached_since = Standing(INACTIVE, since=NOON), NOON, None
    for seconds, outcome in looks:
        now += timedelta(seconds=seconds)
        if outcome in (WELL, UNKNOWN):
            breached_since = None
        elif outcome is BAD and breached_since is None:
            breached_since = now
        before, standing = standing, advance(standing, outcome, patience, now)
        if standing.state is FIRING and before.state is not FIRING:
            assert outcome is BAD
            assert breached_since is not None
            assert now - breached_since >= patience.for_


@given(steps, patiences)
def test_looking_again_at_once_changes_nothing_more(looks: list[tuple[int, Outcome]], patience: Patience) -> None:
    standing, now = Standing(INACTIVE, since=NOON), NOON
    for seconds, outcome in looks:
        now += timedelta(seconds=seconds)
        standing = advance(standing, outcome, patience, now)
        again = advance(standing, outcome, patience, now)
        if patience.for_ and patience.keep_firing_for:
            assert again.state is standing.state
        standing = again
