"""The contract of the durable store, on every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from outlay_alerts.alert import Alert, Move, Transition
from outlay_alerts.lifecycle import Standing, State
from outlay_alerts.measurements import Group
from outlay_alerts.records import Delivery, DeliveryStatus
from outlay_alerts.silence import Silence
from outlay_alerts.verdict import Outcome, Severity, Verdict
from outlay_collector.store.alerts import SqlAlertStore
from sqlalchemy import Engine

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OPENAI: Group = (("provider", "openai"), ("feature", None))


def verdict(group: Group = OPENAI, reason: str = "bad") -> Verdict:
    return Verdict(
        group=group,
        outcome=Outcome.BREACHED,
        severity=Severity.CRITICAL,
        reason=reason,
        unit="ratio",
        value=Decimal("0.0625"),
        threshold=Decimal("0.05"),
    )


def firing(group: Group = OPENAI, at: datetime = NOON) -> Alert:
    standing = Standing(State.FIRING, since=at, breached_at=at)
    return Alert(rule="errors", standing=standing, verdict=verdict(group), told=("oncall",))


def fired(*channels: str, group: Group = OPENAI, at: datetime = NOON) -> Move:
    alert = firing(group, at)
    transition = Transition(
        rule="errors", before=State.PENDING, after=State.FIRING, at=at, since=at - MINUTE, verdict=alert.verdict
    )
    return Move(before=None, after=alert, transition=transition, channels=channels)


def resolved(move: Move, *channels: str, at: datetime) -> Move:
    before = move.after
    assert before is not None
    after = replace(before, standing=Standing(State.RESOLVED, since=at))
    transition = Transition(
        rule="errors",
        before=State.FIRING,
        after=State.RESOLVED,
        at=at,
        since=before.standing.since,
        verdict=before.verdict,
    )
    return Move(before=before, after=after, transition=transition, channels=channels)


def only(deliveries: list[Delivery]) -> Delivery:
    (delivery,) = deliveries
    return delivery


def test_an_alert_is_read_back_as_it_was_saved(store: SqlAlertStore) -> None:
    move = fired("oncall")
    assert store.save([move]) == [move]
    assert store.alerts() == [move.after]


def test_a_new_store_has_nothing(store: SqlAlertStore) -> None:
    assert (store.alerts(), store.due(NOON), store.last_told(), store.silences(NOON)) == ([], [], [], [])
    assert store.history(10) == []
    assert store.save([]) == []


def test_a_transition_comes_with_one_delivery_for_each_channel_due_at_once(store: SqlAlertStore) -> None:
    move = fired("oncall", "team")
    store.save([move])
    due = store.due(NOON)
    assert [(d.channel, d.transition, d.status, d.attempts) for d in due] == [
        ("oncall", move.transition, DeliveryStatus.PENDING, 0),
        ("team", move.transition, DeliveryStatus.PENDING, 0),
    ]
    assert [d.present for d in due] == ["bad", "bad"]
    assert store.due(NOON - MINUTE) == []


def test_only_the_first_of_two_who_saw_the_same_makes_the_move(store: SqlAlertStore, engine: Engine) -> None:
    other = SqlAlertStore(engine)
    first = fired("oncall")
    assert store.save([first]) == [first]
    assert other.save([fired("oncall")]) == []
    end = resolved(first, "oncall", at=NOON + MINUTE)
    assert other.save([end]) == [end]
    assert store.save([resolved(first, "oncall", at=NOON + 2 * MINUTE)]) == []
    assert [transition.after for _, transition, _ in store.history(10)] == [State.RESOLVED, State.FIRING]
    assert len(store.due(NOON + MINUTE)) == 2


def test_an_alert_can_be_forgotten(store: SqlAlertStore) -> None:
    move = fired()
    store.save([move])
    gone = Move(before=move.after, after=None)
    assert store.save([gone]) == [gone]
    assert store.alerts() == []
    assert store.save([gone]) == []


def test_a_claim_keeps_others_away_until_it_runs_out(store: SqlAlertStore, engine: Engine) -> None:
    store.save([fired("oncall")])
    due = store.due(NOON)
    assert store.claim(due, NOON + MINUTE, NOON) == due
    other = SqlAlertStore(engine)
    assert other.due(NOON) == []
    assert other.claim(due, NOON + MINUTE, NOON) == []
    assert other.due(NOON + MINUTE) == due
    assert other.claim(due, NOON + 2 * MINUTE, NOON + MINUTE) == due


def test_a_delivery_that_has_ended_is_never_due_again(store: SqlAlertStore) -> None:
    store.save([fired("oncall")])
    held = only(store.claim(store.due(NOON), NOON + MINUTE, NOON))
    ended = replace(held, status=DeliveryStatus.DELIVERED, attempts=1, at=NOON + timedelta(seconds=2))
    store.record([ended])
    assert store.due(NOON + timedelta(days=1)) == []
    assert only(store.last_told()) == ended
    store.record([replace(held, status=DeliveryStatus.FAILED)])  # one whose claim ran out comes late
    assert only(store.last_told()) == ended


def test_a_postponed_delivery_is_free_and_due_at_its_time(store: SqlAlertStore) -> None:
    store.save([fired("oncall")])
    held = only(store.claim(store.due(NOON), NOON + MINUTE, NOON))
    later = replace(held, attempts=1, error="the webhook answered 500", at=NOON + timedelta(seconds=10))
    store.record([later])
    assert store.due(NOON + timedelta(seconds=9)) == []
    assert only(store.due(NOON + timedelta(seconds=10))) == later


def test_a_reminder_is_added_once_and_becomes_what_was_last_told(store: SqlAlertStore, engine: Engine) -> None:
    store.save([fired("oncall")])
    told = only(store.last_told())
    later = NOON + timedelta(hours=4)
    assert store.remind(told, later)
    assert not SqlAlertStore(engine).remind(told, later)
    reminder = only(store.last_told())
    assert (reminder.reminder, reminder.status, reminder.created_at) == (1, DeliveryStatus.PENDING, later)


def test_what_was_told_of_an_earlier_firing_is_not_what_was_told_of_this_one(store: SqlAlertStore) -> None:
    first = fired("oncall")
    end = resolved(first, "oncall", at=NOON + MINUTE)
    again = replace(fired("oncall", at=NOON + 2 * MINUTE), before=end.after)
    store.save([first])
    store.save([end])
    assert store.last_told() == []
    store.save([again])
    assert only(store.last_told()).transition == again.transition


def test_history_is_newest_first_in_pages_each_with_its_deliveries(store: SqlAlertStore) -> None:
    moves = [fired("oncall", group=(("user", str(n)),), at=NOON + n * MINUTE) for n in range(5)]
    store.save(moves)
    first = store.history(2)
    second = store.history(10, before_id=first[-1][0])
    assert [transition for _, transition, _ in first + second] == [move.transition for move in reversed(moves)]
    assert all(only(told).transition == transition for _, transition, told in first + second)


def test_a_silence_holds_from_its_start_to_its_end(store: SqlAlertStore) -> None:
    silence = Silence(match={"rule": "errors"}, starts_at=NOON, ends_at=NOON + MINUTE, comment="deploy")
    number = store.add_silence(silence)
    assert [replace(found, id=None) for found in store.silences(NOON)] == [silence]
    assert store.silences(NOON - MINUTE) == store.silences(NOON + MINUTE) == []
    assert not store.end_silence(number + 1, NOON)
    assert store.end_silence(number, NOON + MINUTE / 2)
    assert not store.end_silence(number, NOON + MINUTE / 2)
    assert store.silences(NOON + MINUTE / 2) == []
