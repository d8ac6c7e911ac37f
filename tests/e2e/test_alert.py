"""A rule over real calls, from the configuration file to a webhook and a mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from email import message_from_bytes
from typing import TYPE_CHECKING, Any

import openai
import outlay
import pytest
from aiosmtpd.controller import Controller
from outlay_collector.demo.inbox import Inbox
from outlay_collector.serving import Server

from tests.waiting import until

if TYPE_CHECKING:
    from tests.conftest import CollectorProcess, Provider


CONFIGURATION = """
[alerts]
every = "1s"

[[budget]]
name = "shop-daily"
limit = {{ usd = 0.001 }}
period = "day"
match = {{ feature = "shop" }}
on_limit = "block"

[[rule]]
name = "shop-budget"
kind = "budget"

[[rule]]
name = "errors"
kind = "error_rate"
above = 0.05
for = "0s"
min_calls = 1
group_by = ["model"]

[[channel]]
name = "chat"
url = "{webhook}"

[[channel]]
name = "mail"
url = "{mail}"
"""
HELLO: list[Any] = [{"role": "user", "content": "Say hello."}]


@dataclass
class Mailbox:
    """An SMTP server on loopback, and the subjects of the mails it took."""

    subjects: list[str] = field(default_factory=list)

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
        self.subjects.append(str(message_from_bytes(envelope.content)["subject"]))
        return "250 taken"


class OnAnyPort(Controller):
    """aiosmtpd tries whether it listens, for which it must know the port it was given."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call] # aiosmtpd has no types here


@pytest.fixture
def mail() -> Iterator[tuple[Mailbox, str]]:
    box = Mailbox()
    controller = OnAnyPort(box, hostname="127.0.0.1", port=0, ready_timeout=60)
    controller.start()
    yield box, f"mailto://127.0.0.1:{controller.port}?from=outlay@example.org&to=finance@example.org&mode=insecure"
    controller.stop()


@pytest.fixture
def chat() -> Iterator[tuple[Inbox, str]]:
    inbox = Inbox()
    with Server(inbox.app) as server:
        yield inbox, f"{server.url}/alerts"


def call_without_end(chatter: openai.OpenAI) -> None:
    """Each call costs some 0.0001 USD: its tokens are 0.40 USD a million in and 1.60 out."""
    while True:
        chatter.chat.completions.create(model="gpt-4.1-mini", messages=HELLO, max_completion_tokens=100)


@pytest.mark.usefixtures("patient")
def test_a_spent_budget_blocks_the_next_call_and_tells_a_webhook_and_a_mailbox(
    stopped_collector: CollectorProcess,
    fake_provider: Provider,
    chat: tuple[Inbox, str],
    mail: tuple[Mailbox, str],
) -> None:
    (inbox, webhook), (mailbox, address) = chat, mail
    stopped_collector.start(configuration=CONFIGURATION.format(webhook=webhook, mail=address))
    outlay.instrument(endpoint=stopped_collector.url)
    try:
        with openai.OpenAI(base_url=fake_provider.openai, api_key="k", max_retries=0) as chatter:
            with outlay.context(feature="shop"), pytest.raises(outlay.BudgetExceeded) as refused:
                call_without_end(chatter)
            answered = len(fake_provider.log.entries)
            assert 1 < answered < 100
            with pytest.raises(openai.InternalServerError):  # another feature has another purse
                chatter.chat.completions.create(model="gpt-4.1", messages=HELLO, extra_headers={"x-fault": "500"})
        assert outlay.flush(60)
    finally:
        outlay.uninstrument()
    assert refused.value.budget == "shop-daily"
    assert refused.value.limit_usd == Decimal("0.001")

    for rule in ("shop-budget", "errors"):
        until(lambda rule=rule: any(rule in text for text in inbox.messages), f"{rule} at the webhook")
        until(lambda rule=rule: any(rule in subject for subject in mailbox.subjects), f"{rule} at the mailbox")
    alerts = stopped_collector.get("/api/v1/alerts")["alerts"]
    assert {alert["rule"] for alert in alerts if alert["state"] == "firing"} == {"shop-budget", "errors"}
    spent = stopped_collector.get("/api/v1/usage", feature="shop")["rows"][0]
    assert spent["calls"] == answered
    assert Decimal(spent["cost_usd"]) <= Decimal("0.001")
