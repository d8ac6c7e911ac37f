"""Alerts of a running collector: spans in over HTTP, messages out to a real webhook and a real mail server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from outlay_collector.app import create_app
from outlay_collector.serving import Server
from outlay_collector.settings import Alerts, Settings, Store, read_settings

from tests.alerts.conftest import Mailbox, Webhook
from tests.collector.sending import PROTOBUF, Sent, body_of, chat
from tests.waiting import until

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

CONFIGURATION = """
[store]
url = "{database}"

[[budget]]
name = "chat-daily"
limit = {{ usd = 0.10 }}
match = {{ feature = "chat" }}

[[rule]]
name = "provider-errors"
kind = "error_rate"
above = 0.05
window = "5m"
for = "0s"
group_by = ["provider"]
channels = ["chat", "mail"]

[[rule]]
name = "budgets"
kind = "budget"
channels = ["chat"]

[[channel]]
name = "chat"
url = "${{CHAT_URL}}"

[[channel]]
name = "mail"
url_file = "{secret}"
"""


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return int((self.now - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1_000


class Collector:
    """A collector that is being served, as its users see it."""

    def __init__(self, client: httpx2.Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._sent = 0

    def send(self, count: int, *, failed: bool = False, feature: str = "chat") -> None:
        started_at_ns = self._clock() - 1_000_000_000
        spans = [
            Sent(
                span=self._clock() % 2**60 + self._sent + n + 1,
                trace=self._clock() + n + 1,
                attributes=chat(**{"outlay.feature": feature}, **({"error.type": "500"} if failed else {})),
                started_at_ns=started_at_ns,
                failed=failed,
            )
            for n in range(count)
        ]
        self._sent += count
        assert self._client.post("/v1/traces", content=body_of(*spans), headers=PROTOBUF).status_code == 200

    def get(self, path: str) -> Any:
        answer = self._client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def request(self, method: str, path: str, body: object = None) -> httpx2.Response:
        return self._client.request(method, path, json=body)

    def alert(self, rule: str) -> dict[str, Any]:
        (found,) = [alert for alert in self.get("/api/v1/alerts")["alerts"] if alert["rule"] == rule]
        return dict(found)


@pytest.fixture(autouse=True)
def _read_at_every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slowly: an answer is good for as long as that took, many times over, and `Clock` does not tell."""
    monkeypatch.setattr("outlay_collector.alerting.REST", 0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(tmp_path: Path, webhook: Webhook, mailbox: Mailbox) -> Settings:
    secret = tmp_path / "mail-url"
    secret.write_text(mailbox.url)
    file = tmp_path / "outlay.toml"
    file.write_text(CONFIGURATION.format(database=f"sqlite:///{tmp_path}/outlay.db", secret=secret))
    settings = read_settings(file, {"CHAT_URL": webhook.url})
    return settings.model_copy(update={"alerts": Alerts(every=timedelta(milliseconds=50))})


@contextmanager
def served(settings: Settings, clock: Clock) -> Iterator[Collector]:
    with Server(create_app(settings, clock=clock)) as server, httpx2.Client(base_url=server.url, timeout=60) as client:
        yield Collector(client, clock)


def titles(webhook: Webhook) -> list[str]:
    return [text.split("\n")[0] for text in webhook.texts]


def test_a_rule_fires_and_is_resolved_each_told_once_across_a_restart(
    settings: Settings, clock: Clock, webhook: Webhook, mailbox: Mailbox
) -> None:
    with served(settings, clock) as collector:
        collector.send(20, failed=True, feature="search")
        until(lambda: webhook.posted and mailbox.mails, "both channels to be told")
        alert = collector.alert("provider-errors")
        assert (alert["state"], alert["health"], alert["severity"]) == ("firing", "ok", "critical")
        assert (alert["value"], alert["threshold"], alert["unit"]) == ("1", "0.05", "ratio")
        assert alert["group"] == {"provider": "openai"}
        assert alert["since"] == "2026-11-20T12:00:00Z"
        assert alert["reason"] == "error rate 100% over 5% in the last 5 min for provider=openai (20 calls)"
    with served(settings, clock) as collector:
        assert collector.alert("provider-errors")["state"] == "firing"
        clock.now += timedelta(minutes=10)
        collector.send(20, feature="search")
        until(lambda: len(webhook.posted) >= 2 and len(mailbox.mails) >= 2, "both channels to be told again")
        history = collector.get("/api/v1/alerts/history")["transitions"]
        assert [(t["from"], t["to"], t["at"]) for t in history] == [
            ("firing", "resolved", "2026-11-20T12:10:00Z"),
            ("inactive", "firing", "2026-11-20T12:00:00Z"),
        ]
        until(
            lambda: all(
                delivery["status"] == "delivered" and delivery["attempts"] == 1
                for transition in collector.get("/api/v1/alerts/history")["transitions"]
                for delivery in transition["deliveries"]
            ),
            "every delivery to be recorded",
        )
    assert titles(webhook) == ["*[FIRING] provider-errors (critical)*", "*[RESOLVED] provider-errors*"]
    assert [mail["subject"] for mail in mailbox.mails] == [
        "[FIRING] provider-errors (critical)",
        "[RESOLVED] provider-errors",
    ]


def test_an_endpoint_that_answers_500_first_is_tried_again(settings: Settings, clock: Clock, webhook: Webhook) -> None:
    webhook.answers = [500]
    with served(settings, clock) as collector:
        collector.send(20, failed=True, feature="search")

        def delivery() -> dict[str, Any]:
            (transition,) = collector.get("/api/v1/alerts/history")["transitions"] or [{"deliveries": [{}]}]
            return next((d for d in transition["deliveries"] if d.get("channel") == "chat"), {})

        until(lambda: delivery().get("attempts") == 1, "the first try to fail")
        assert (delivery()["status"], delivery()["error"]) == ("pending", "the webhook answered 500")
        clock.now += timedelta(seconds=10)
        until(lambda: delivery()["status"] == "delivered", "the second try")
        assert (delivery()["attempts"], delivery()["error"]) == (2, None)
    assert len(webhook.posted) == 2


def test_a_budget_warns_and_then_is_spent(settings: Settings, clock: Clock, webhook: Webhook) -> None:
    # gpt-4o: 1000 tokens in at $2.50 and 100 out at $10 a million are $0.0035 a call; 23 calls are $0.0805 of $0.10
    with served(settings, clock) as collector:
        collector.send(23)
        until(lambda: len(webhook.posted) == 1, "the warning")
        assert titles(webhook) == ["*[FIRING] budgets (warning)*"]
        assert 'budget "chat-daily": $0.0805 of $0.10 spent (80.5%, at or over 80%)' in webhook.texts[0]
        clock.now += timedelta(minutes=1)
        collector.send(6)
        until(lambda: len(webhook.posted) == 2, "the end of the budget")
        assert titles(webhook)[1] == "*[FIRING] budgets (critical)*"
        states = {
            alert["group"].get("threshold"): alert["state"] for alert in collector.get("/api/v1/alerts")["alerts"]
        }
        assert (states["80%"], states["100%"]) == ("firing", "firing")
        clock.now = datetime(2026, 11, 21, 0, 0, 1, tzinfo=UTC)
        until(lambda: any("RESOLVED 2] budgets" in title for title in titles(webhook)), "the next day")


def test_a_silence_by_http_holds_messages_back_until_it_is_ended(
    settings: Settings, clock: Clock, webhook: Webhook
) -> None:
    with served(settings, clock) as collector:
        added = collector.request(
            "POST", "/api/v1/silences", {"match": {"rule": "provider-errors"}, "for": "2h", "comment": "deploy"}
        )
        assert added.status_code == 201
        assert added.json() == {
            "id": added.json()["id"],
            "match": {"rule": "provider-errors"},
            "starts_at": "2026-11-20T12:00:00Z",
            "ends_at": "2026-11-20T14:00:00Z",
            "comment": "deploy",
        }
        assert collector.get("/api/v1/silences")["silences"] == [added.json()]
        collector.send(20, failed=True, feature="search")
        until(
            lambda: (
                [
                    delivery["status"]
                    for transition in collector.get("/api/v1/alerts/history")["transitions"]
                    for delivery in transition["deliveries"]
                ]
                == ["silenced", "silenced"]
            ),
            "both deliveries to be held back",
        )
        assert webhook.posted == []
        clock.now += timedelta(seconds=1)
        place = f"/api/v1/silences/{added.json()['id']}"
        assert collector.request("DELETE", place).status_code == 204
        assert collector.request("DELETE", place).status_code == 404
        until(lambda: webhook.posted, "what still fires to be told")
        assert titles(webhook) == ["*[STILL FIRING] provider-errors (critical)*"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"match": {}, "for": "2h"}, "match"),
        ({"match": {"rul": "x"}, "for": "2h"}, "match.rul"),
        ({"match": {"rule": 3}, "for": "2h"}, "match.rule"),
        ({"match": {"rule": "x"}}, "for"),
        ({"match": {"rule": "x"}, "for": "2h", "until": "2026-11-20T13:00:00Z"}, "for"),
        ({"match": {"rule": "x"}, "for": "two hours"}, "for"),
        ({"match": {"rule": "x"}, "for": "999999w"}, "for"),
        ({"match": {"rule": "x"}, "until": "2026-11-20T11:00:00Z"}, "until"),
        ({"match": {"rule": "x"}, "until": "2026-11-20T13:00:00"}, "until"),
        ({"match": {"rule": "x"}, "for": "2h", "forever": True}, "forever"),
    ],
)
def test_a_silence_that_cannot_be_is_refused_with_its_field(
    tmp_path: Path, clock: Clock, body: dict[str, Any], field: str
) -> None:
    quiet = Settings(store=Store(url=f"sqlite:///{tmp_path}/outlay.db"), alerts=Alerts(enabled=False))
    with served(quiet, clock) as collector:
        answer = collector.request("POST", "/api/v1/silences", body)
        assert (answer.status_code, answer.json()["error"].get("field")) == (422, field)


def test_history_comes_in_pages(settings: Settings, clock: Clock, webhook: Webhook) -> None:
    with served(settings, clock) as collector:
        for minute in range(3):
            collector.send(20, failed=minute % 2 == 0, feature="search")
            seen = partial(lambda before: len(collector.get("/api/v1/alerts/history")["transitions"]) > before, minute)
            until(seen, "the next transition")
            clock.now += timedelta(minutes=10)
        first = collector.get("/api/v1/alerts/history?limit=2")
        rest = collector.get(f"/api/v1/alerts/history?limit=2&cursor={first['next_cursor']}")
        assert [t["to"] for t in first["transitions"] + rest["transitions"]] == ["firing", "resolved", "firing"]
        assert rest["next_cursor"] is None


def test_without_any_rule_the_default_ones_are_looked_at(tmp_path: Path, clock: Clock) -> None:
    settings = Settings(
        store=Store(url=f"sqlite:///{tmp_path}/outlay.db"), alerts=Alerts(every=timedelta(milliseconds=50))
    )
    with served(settings, clock) as collector:
        until(lambda: len(collector.get("/api/v1/alerts")["alerts"]) == 11, "all default rules")
        found = {alert["rule"]: alert for alert in collector.get("/api/v1/alerts")["alerts"]}
        assert found["errors"]["health"] == "no_data"
        assert found["errors"]["reason"] == "no calls in the last 5 min"
        assert {alert["state"] for alert in found.values()} == {"inactive"}
