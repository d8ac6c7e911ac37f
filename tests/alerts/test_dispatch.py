"""Telling people, against real endpoints: once each, again where it failed, silenced, reminded, grouped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from outlay_alerts.config import Channel, read_channels, read_rules
from outlay_alerts.dispatch import GIVE_UP_AFTER, Dispatcher, retry_after
from outlay_alerts.evaluate import evaluate
from outlay_alerts.measurements import BudgetState, Group, LimitState, Match, Measurement, Window
from outlay_alerts.records import DeliveryStatus
from outlay_alerts.rules import Rule
from outlay_alerts.silence import Silence
from outlay_collector.store.alerts import SqlAlertStore
from sqlalchemy import Engine

from tests.alerts.conftest import Mailbox, Webhook

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
OPENAI, GROQ = (("provider", "openai"),), (("provider", "groq"),)
RULE = {"name": "errors", "kind": "error_rate", "group_by": ["provider"], "for": "0s"}


@dataclass
class World:
    """One rule, one channel, a clock that is set by hand, and the share of errors of each provider."""

    store: SqlAlertStore
    channels: Sequence[Channel]
    rules: Sequence[Rule] = field(default_factory=lambda: read_rules([RULE], "outlay.toml"))
    now: datetime = NOON
    error_share: dict[Group, float] = field(default_factory=dict)

    def measure(self, window: Window, group_by: Sequence[str], match: Match) -> Sequence[Measurement]:
        return [Measurement(group=g, calls=100, errors=int(share * 100)) for g, share in self.error_share.items()]

    def budgets(self, now: datetime) -> Sequence[BudgetState]:
        return []

    def limits(self, now: datetime) -> Sequence[LimitState]:
        return []

    def look(self, error_share: Mapping[Group, float]) -> None:
        self.error_share.update(error_share)
        evaluate(self.rules, self.channels, self, self.store, self.now)

    def tell(self, after: timedelta = timedelta(0)) -> int:
        self.now += after
        return Dispatcher(self.rules, self.channels, self.store, lambda: self.now).run()

    def outcome(self) -> list[tuple[str, str, int, str | None]]:
        """Every delivery, oldest transition first."""
        return [
            (told.channel, told.status.value, told.attempts, told.error)
            for _, _, deliveries in reversed(self.store.history(100))
            for told in deliveries
        ]


def channels(**urls: str) -> Sequence[Channel]:
    return read_channels([{"name": name, "url": url} for name, url in urls.items()], "outlay.toml")


@pytest.fixture
def world(sqlite_engine: Engine, webhook: Webhook) -> World:
    return World(SqlAlertStore(sqlite_engine), channels(oncall=webhook.url))


def test_a_firing_rule_is_told_once_with_what_since_when_and_what_to_do(world: World, webhook: Webhook) -> None:
    world.look({OPENAI: 0.5})
    assert world.tell() == 1
    assert world.tell() == world.tell(MINUTE) == 0
    assert webhook.texts == [
        "*[FIRING] errors (critical)*\n"
        "error rate 50% over 5% in the last 5 min for provider=openai (100 calls)\n"
        "Value: 50%, threshold 5%\n"
        "Since: 2026-11-20 12:00:00 UTC\n"
        "\n"
        "Next: look at the failed calls (status=error) and at the provider's status page."
    ]
    assert world.outcome() == [("oncall", "delivered", 1, None)]


def test_resolved_is_told_with_how_long_it_lasted(world: World, webhook: Webhook) -> None:
    world.look({OPENAI: 0.5})
    world.tell()
    world.now += 12 * MINUTE
    world.look({OPENAI: 0.01})
    world.tell()
    assert webhook.texts[1] == (
        "*[RESOLVED] errors*\n"
        "error rate 1% within 5% in the last 5 min for provider=openai (100 calls)\n"
        "Value: 1%, threshold 5%\n"
        "Fired: 2026-11-20 12:00:00 UTC to 2026-11-20 12:12:00 UTC (12 min)"
    )


def test_groups_of_a_rule_that_fire_together_are_one_message(world: World, webhook: Webhook) -> None:
    world.look({OPENAI: 0.5, GROQ: 0.2})
    assert world.tell() == 1
    (text,) = webhook.texts
    assert text.startswith("*[FIRING 2] errors (critical)*\n")
    assert "provider=openai" in text
    assert "provider=groq" in text
    assert [status for _, status, _, _ in world.outcome()] == ["delivered", "delivered"]


def test_very_many_groups_are_named_in_part_and_counted_in_whole(world: World, webhook: Webhook) -> None:
    world.look({(("provider", f"p{n:02}"),): 0.5 for n in range(33)})
    world.tell()
    (text,) = webhook.texts
    assert text.startswith("*[FIRING 33] errors (critical)*")
    assert text.count("Value:") == 20
    assert "and 13 more: `outlay alerts list` shows all" in text


def test_a_failed_try_is_made_again_later_and_recorded(world: World, webhook: Webhook) -> None:
    webhook.answers = [500, 503]
    world.look({OPENAI: 0.5})
    assert world.tell() == 0
    assert world.outcome() == [("oncall", "pending", 1, "the webhook answered 500")]
    assert world.tell(9 * SECOND) == 0
    assert len(webhook.posted) == 1
    assert world.tell(SECOND) == 0
    assert world.outcome() == [("oncall", "pending", 2, "the webhook answered 503")]
    assert world.tell(20 * SECOND) == 1
    assert world.outcome() == [("oncall", "delivered", 3, None)]
    assert len(webhook.posted) == 3


def test_what_was_refused_for_good_is_not_tried_again(world: World, webhook: Webhook) -> None:
    webhook.answers = [404]
    world.look({OPENAI: 0.5})
    world.tell()
    assert world.tell(HOUR) == 0
    assert world.outcome() == [("oncall", "failed", 1, "the webhook answered 404")]
    assert len(webhook.posted) == 1


def test_tries_are_given_up_after_a_day(world: World, webhook: Webhook) -> None:
    webhook.answers = [500, 500]
    world.look({OPENAI: 0.5})
    world.tell()
    world.tell(GIVE_UP_AFTER)
    assert world.outcome()[0] == ("oncall", "failed", 2, "the webhook answered 500")


def test_waits_double_up_to_a_quarter_of_an_hour() -> None:
    seconds = [retry_after(attempts).total_seconds() for attempts in (1, 2, 3, 7, 8, 1_000_000)]
    assert seconds == [10, 20, 40, 640, 900, 900]


def test_one_channel_that_fails_does_not_keep_the_others_waiting(
    sqlite_engine: Engine, webhook: Webhook, mailbox: Mailbox
) -> None:
    webhook.answers = [500]
    world = World(SqlAlertStore(sqlite_engine), channels(chat=webhook.url, mail=mailbox.url))
    world.look({OPENAI: 0.5})
    assert world.tell() == 1
    (mail,) = mailbox.mails
    assert mail["subject"] == "[FIRING] errors (critical)"
    assert world.outcome() == [("chat", "pending", 1, "the webhook answered 500"), ("mail", "delivered", 1, None)]


def test_what_happened_while_a_channel_was_away_is_told_in_order(world: World, webhook: Webhook) -> None:
    webhook.answers = [500]
    world.look({OPENAI: 0.5})
    world.tell()
    world.now += MINUTE
    world.look({OPENAI: 0.0})
    assert world.tell() == 1
    text = webhook.texts[1]
    assert text.startswith("*[FIRING 1, RESOLVED 1] errors (critical)*")
    assert text.index("Since:") < text.index("Fired:")


def test_what_still_fires_is_told_again_after_the_interval_with_its_present_figures(
    world: World, webhook: Webhook
) -> None:
    world.look({OPENAI: 0.5})
    world.tell()
    world.now += 4 * HOUR - SECOND
    world.look({OPENAI: 0.75})
    assert world.tell() == 0
    assert world.tell(SECOND) == 1
    assert webhook.texts[1].startswith("*[STILL FIRING] errors (critical)*\nerror rate 75% over 5%")
    assert world.tell(SECOND) == 0
    assert world.tell(4 * HOUR) == 1


def test_what_is_resolved_is_not_told_again(world: World, webhook: Webhook) -> None:
    world.look({OPENAI: 0.5})
    world.tell()
    world.look({OPENAI: 0.0})
    world.tell()
    assert world.tell(24 * HOUR) == 0


def silence(world: World, length: timedelta, **match: str) -> None:
    world.store.add_silence(Silence(match=match, starts_at=world.now, ends_at=world.now + length))


def test_a_silence_holds_back_what_it_covers_and_nothing_else(world: World, webhook: Webhook) -> None:
    silence(world, HOUR, rule="errors", provider="openai")
    silence(world, HOUR, provider="groq", severity="warning")
    world.look({OPENAI: 0.5, GROQ: 0.5})
    assert world.tell() == 1
    (text,) = webhook.texts
    assert "provider=groq" in text
    assert "provider=openai" not in text
    assert sorted(status for _, status, _, _ in world.outcome()) == ["delivered", "silenced"]


def test_what_still_fires_when_its_silence_ends_is_told_then(world: World, webhook: Webhook) -> None:
    silence(world, HOUR, rule="errors")
    world.look({OPENAI: 0.5})
    assert world.tell() == world.tell(59 * MINUTE) == 0
    assert world.tell(MINUTE) == 1
    assert world.tell(MINUTE) == 0
    assert len(webhook.posted) == 1


def test_reminders_are_silenced_too(world: World, webhook: Webhook) -> None:
    world.look({OPENAI: 0.5})
    world.tell()
    world.now += 3 * HOUR
    silence(world, 3 * HOUR, rule="errors")
    assert world.tell(2 * HOUR) == 0
    assert world.tell(HOUR) == 1


def test_a_channel_that_was_removed_fails_and_says_so(world: World) -> None:
    world.look({OPENAI: 0.5})
    world.channels = ()
    world.tell()
    assert [told[1:] for told in world.outcome()] == [("failed", 0, "the channel is no longer configured")]
    assert world.tell(24 * HOUR) == 0


def test_a_claim_of_a_process_that_died_runs_out_and_the_message_is_sent(world: World, webhook: Webhook) -> None:
    world.look({OPENAI: 0.5})
    world.store.claim(world.store.due(world.now), world.now + MINUTE, world.now)  # by one that never got to send
    assert world.tell(59 * SECOND) == 0
    assert world.tell(SECOND) == 1
    assert len(webhook.posted) == 1


def test_two_processes_on_one_database_tell_each_thing_once(engine: Engine, webhook: Webhook) -> None:
    here = World(SqlAlertStore(engine), channels(oncall=webhook.url))
    there = World(SqlAlertStore(engine), here.channels)
    for minute in range(4):
        for world in (here, there):
            world.now = NOON + minute * MINUTE
            world.look({OPENAI: minute % 2})
        assert here.tell() + there.tell() == (1 if minute else 0)
    assert [text.split("\n")[0] for text in webhook.texts] == [
        "*[FIRING] errors (critical)*",
        "*[RESOLVED] errors*",
        "*[FIRING] errors (critical)*",
    ]
    assert all(status == DeliveryStatus.DELIVERED for _, status, _, _ in here.outcome())


def test_a_rules_own_runbook_is_what_to_do_next(world: World, webhook: Webhook) -> None:
    entry: dict[str, Any] = {**RULE, "runbook": "https://wiki.example.org/llm-errors"}
    world.rules = read_rules([entry], "outlay.toml")
    world.look({OPENAI: 0.5})
    world.tell()
    assert webhook.texts[0].endswith("\n\nNext: https://wiki.example.org/llm-errors")
