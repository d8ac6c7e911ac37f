"""A look at all rules: what is stored, what is told to whom, and what a bad rule does to the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from outlay_alerts.alert import Alert
from outlay_alerts.config import Channel, read_channels, read_rules
from outlay_alerts.evaluate import evaluate, replay
from outlay_alerts.lifecycle import Health, State
from outlay_alerts.measurements import BudgetState, Group, LimitState, Match, Measurement, Window
from outlay_alerts.rules import Rule
from outlay_alerts.verdict import Severity
from outlay_collector.store.alerts import SqlAlertStore

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OPENAI, GROQ = (("provider", "openai"),), (("provider", "groq"),)

CHANNELS = read_channels(
    [
        {"name": "oncall", "url": "http://127.0.0.1:1/a"},
        {"name": "team", "url": "http://127.0.0.1:1/b", "send_resolved": False},
    ],
    "outlay.toml",
)


@dataclass
class Traffic:
    """Error rates by group, as they are now; or a store that fails."""

    error_share: dict[Group, float] = field(default_factory=dict)
    failing_dimension: str | None = None

    def measure(self, window: Window, group_by: Sequence[str], match: Match) -> Sequence[Measurement]:
        if self.failing_dimension in group_by:
            raise RuntimeError("disk I/O error\nSELECT secret FROM calls")
        return [Measurement(group=g, calls=100, errors=int(share * 100)) for g, share in self.error_share.items()]

    def budgets(self, now: datetime) -> Sequence[BudgetState]:
        return []

    def limits(self, now: datetime) -> Sequence[LimitState]:
        return []


def rules(*entries: Mapping[str, Any]) -> tuple[Rule, ...]:
    return read_rules(
        [
            {"name": "errors", "kind": "error_rate", "group_by": ["provider"], "for": "0s", **entry}
            for entry in entries or ({},)
        ],
        "outlay.toml",
    )


def look(
    store: SqlAlertStore,
    traffic: Traffic,
    minute: float,
    judged: Sequence[Rule] | None = None,
    channels: Sequence[Channel] = CHANNELS,
) -> dict[tuple[str, Group], Alert]:
    now = NOON + minute * MINUTE
    found = evaluate(rules() if judged is None else judged, channels, traffic, store, now)
    return {(alert.rule, alert.group): alert for alert in found.alerts}


def told(store: SqlAlertStore) -> list[tuple[Group, str, list[str]]]:
    """Transitions, oldest first, and who is to hear of them."""
    return [(t.group, t.after.value, [d.channel for d in ds]) for _, t, ds in reversed(store.history(100))]


def test_each_group_fires_by_itself_and_every_channel_hears_of_it(store: SqlAlertStore) -> None:
    found = look(store, Traffic({OPENAI: 0.5, GROQ: 0.0}), 0)
    assert found["errors", OPENAI].state is State.FIRING
    assert found["errors", GROQ].state is State.INACTIVE
    assert told(store) == [(OPENAI, "firing", ["oncall", "team"])]
    assert {(a.rule, a.group): a for a in store.alerts()} == found


def test_looking_again_changes_nothing(store: SqlAlertStore) -> None:
    traffic = Traffic({OPENAI: 0.5})
    first = look(store, traffic, 0)["errors", OPENAI]
    again = look(store, traffic, 1)["errors", OPENAI]
    assert again.standing.since == first.standing.since
    assert len(told(store)) == 1


def test_resolved_is_told_to_those_who_were_told_and_want_to_know(store: SqlAlertStore) -> None:
    look(store, Traffic({OPENAI: 0.5}), 0)
    look(store, Traffic({OPENAI: 0.0}), 1, judged=rules({"channels": ["team"]}))
    assert told(store)[1:] == [(OPENAI, "resolved", ["oncall"])]


def test_a_rule_tells_only_the_channels_it_names(store: SqlAlertStore) -> None:
    look(store, Traffic({OPENAI: 0.5}), 0, judged=rules({"channels": ["team"]}, {"name": "quiet", "channels": []}))
    assert [(d.channel, d.transition.rule) for d in store.due(NOON)] == [("team", "errors")]
    assert sorted(t.rule for _, t, _ in store.history(9)) == ["errors", "quiet"]


def test_a_group_that_has_gone_quiet_stays_firing_with_no_data_and_is_let_go_in_the_end(store: SqlAlertStore) -> None:
    look(store, Traffic({OPENAI: 0.5}), 0)
    quiet = look(store, Traffic({GROQ: 0.0}), 1)["errors", OPENAI]
    assert (quiet.state, quiet.health) == (State.FIRING, Health.NO_DATA)
    assert quiet.verdict.reason == "no calls in the last 5 min for provider=openai"
    assert look(store, Traffic({GROQ: 0.0}), 61)["errors", OPENAI].state is State.RESOLVED


def test_a_group_that_is_well_and_gone_is_forgotten(store: SqlAlertStore) -> None:
    look(store, Traffic({OPENAI: 0.0, GROQ: 0.0}), 0)
    assert set(look(store, Traffic({GROQ: 0.0}), 1)) == {("errors", GROQ)}
    assert [alert.group for alert in store.alerts()] == [GROQ]


def test_a_rule_without_any_data_is_listed_as_such_until_there_is_some(store: SqlAlertStore) -> None:
    (nothing,) = look(store, Traffic(), 0).values()
    assert (nothing.group, nothing.state, nothing.health) == ((), State.INACTIVE, Health.NO_DATA)
    assert nothing.verdict.reason == "no calls in the last 5 min"
    assert set(look(store, Traffic({OPENAI: 0.0}), 1)) == {("errors", OPENAI)}
    assert [alert.group for alert in store.alerts()] == [OPENAI]


def test_a_rule_that_fails_is_unhealthy_and_the_others_are_looked_at(store: SqlAlertStore) -> None:
    judged = rules({"name": "bad", "group_by": ["feature"]}, {})
    found = look(store, Traffic({OPENAI: 0.5}, failing_dimension="feature"), 0, judged=judged)
    assert found["errors", OPENAI].state is State.FIRING
    bad = found["bad", ()]
    assert (bad.state, bad.health) == (State.INACTIVE, Health.ERROR)
    assert bad.verdict.reason == "the rule could not be evaluated: RuntimeError: disk I/O error"


def test_what_fires_goes_on_firing_while_its_rule_fails(store: SqlAlertStore) -> None:
    look(store, Traffic({OPENAI: 0.5}), 0)
    failing = look(store, Traffic(failing_dimension="provider"), 1000)["errors", OPENAI]
    assert (failing.state, failing.health) == (State.FIRING, Health.ERROR)
    assert failing.verdict.severity is Severity.CRITICAL
    assert look(store, Traffic({OPENAI: 0.0}), 1001)["errors", OPENAI].state is State.RESOLVED


def test_what_fired_for_a_rule_that_was_removed_is_resolved_and_said_so(store: SqlAlertStore) -> None:
    look(store, Traffic({OPENAI: 0.5, GROQ: 0.0}), 0)
    look(store, Traffic({OPENAI: 0.5}), 1, judged=())
    assert store.alerts() == []
    assert told(store)[1:] == [(OPENAI, "resolved", ["oncall"])]
    assert store.history(1)[0][1].verdict.reason == "the rule is no longer configured"


def test_what_was_pending_when_the_process_ended_goes_on_in_the_next(store: SqlAlertStore) -> None:
    judged, traffic = rules({"for": "5m"}), Traffic({OPENAI: 0.5})
    assert look(store, traffic, 0, judged=judged)["errors", OPENAI].state is State.PENDING
    assert look(store, traffic, 4, judged=judged)["errors", OPENAI].state is State.PENDING
    assert look(store, traffic, 5, judged=judged)["errors", OPENAI].state is State.FIRING


def test_replay_tells_what_would_have_happened_without_a_store() -> None:
    class Past(Traffic):
        def measure(self, window: Window, group_by: Sequence[str], match: Match) -> Sequence[Measurement]:
            failing = NOON + 2 * MINUTE <= window.end < NOON + 4 * MINUTE
            return [Measurement(group=OPENAI, calls=100, errors=50 if failing else 0)]

    looks = [NOON + n * MINUTE for n in range(10)]
    assert [(t.after, t.at) for t in replay(rules(), Past(), looks)] == [
        (State.FIRING, NOON + 2 * MINUTE),
        (State.RESOLVED, NOON + 4 * MINUTE),
    ]
