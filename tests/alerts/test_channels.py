"""Channels, each against a real endpoint on loopback: what arrives, what a failure says, and that no secret leaks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from outlay_alerts.channels import TransportError, send
from outlay_alerts.message import Message
from outlay_alerts.verdict import Severity

from tests.alerts.conftest import Mailbox, Webhook
from tests.waiting import own_port

MESSAGE = Message(
    "[FIRING] provider-errors (critical)",
    "error rate 6.25% over 5% in the last 5 min for feature=<b> & co (80 calls)\nValue: 6.25%, threshold 5%",
    Severity.CRITICAL,
)


def test_a_slack_style_webhook_gets_title_and_body_with_slacks_escapes(webhook: Webhook) -> None:
    send(webhook.url, MESSAGE)
    assert webhook.posted == [
        (
            "/hooks/s3cret",
            {
                "text": "*[FIRING] provider-errors (critical)*\n"
                "error rate 6.25% over 5% in the last 5 min for feature=&lt;b&gt; &amp; co (80 calls)\n"
                "Value: 6.25%, threshold 5%"
            },
        )
    ]


def test_mattermosts_own_url_posts_to_its_hook(webhook: Webhook) -> None:
    send(f"mmost://127.0.0.1:{webhook.port}/s3cret", MESSAGE)
    ((path, body),) = webhook.posted
    assert path == "/hooks/s3cret"
    assert body["text"].replace("\r\n", "\n") == f"{MESSAGE.title}\n{MESSAGE.body}"


def test_a_generic_json_webhook_gets_the_parts_by_name(webhook: Webhook) -> None:
    send(f"json://127.0.0.1:{webhook.port}/hooks/s3cret", MESSAGE)
    ((_, body),) = webhook.posted
    assert (body["title"], body["message"], body["type"]) == (MESSAGE.title, MESSAGE.body, "failure")


def test_a_mail_has_the_title_as_its_subject_and_the_body_as_plain_text(mailbox: Mailbox) -> None:
    send(mailbox.url, MESSAGE)
    (mail,) = mailbox.mails
    assert mail["subject"] == MESSAGE.title
    assert mail["to"] == "oncall@example.org"
    (text,) = [part for part in mail.walk() if part.get_content_type() == "text/plain"]
    payload = text.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.decode().replace("\r\n", "\n").strip() == MESSAGE.body


@dataclass
class Kind:
    """One kind of channel, and how to make its endpoint answer a status."""

    url: Callable[[int], str]


HTTP_KINDS = {
    "webhook": Kind(lambda port: f"http://127.0.0.1:{port}/hooks/s3cret"),
    "mattermost": Kind(lambda port: f"mmost://127.0.0.1:{port}/s3cret"),
    "json": Kind(lambda port: f"json://user:s3cret@127.0.0.1:{port}/hooks/s3cret"),
}


@pytest.fixture(params=sorted(HTTP_KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return HTTP_KINDS[request.param]


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(500, False), (503, False), (429, False), (408, False), (400, True), (401, True), (404, True), (410, True)],
)
def test_a_refusal_says_the_status_and_whether_another_try_can_help(
    kind: Kind, webhook: Webhook, status: int, permanent: bool
) -> None:
    webhook.answers = [status]
    with pytest.raises(TransportError, match=f"answered {status}") as raised:
        send(kind.url(webhook.port), MESSAGE)
    assert raised.value.permanent is permanent
    assert len(webhook.posted) == 1


def test_a_redirect_is_not_followed(kind: Kind, webhook: Webhook) -> None:
    webhook.answers, webhook.location = [302], f"http://127.0.0.1:{webhook.port}/elsewhere"
    with pytest.raises(TransportError, match="answered 302") as raised:
        send(kind.url(webhook.port), MESSAGE)
    assert raised.value.permanent
    assert [path for path, _ in webhook.posted] == ["/hooks/s3cret"]


def test_nobody_listening_is_worth_another_try(kind: Kind) -> None:
    with own_port() as port, pytest.raises(TransportError, match="could not be reached") as raised:
        send(kind.url(port), MESSAGE)
    assert not raised.value.permanent


def test_a_mail_server_that_refuses_is_worth_another_try(mailbox: Mailbox) -> None:
    mailbox.refuse_with = "451 later"
    with pytest.raises(TransportError) as raised:
        send(mailbox.url, MESSAGE)
    assert not raised.value.permanent


@pytest.mark.parametrize("status", [200, 404, 500])
def test_no_part_of_the_url_is_in_an_error_or_the_log(
    kind: Kind, webhook: Webhook, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    webhook.answers = [status]
    said = ""
    with caplog.at_level(logging.INFO):
        try:
            send(kind.url(webhook.port), MESSAGE)
        except TransportError as error:
            said = f"{error} {error!r} {error.__cause__!r}"
    assert "s3cret" not in said + caplog.text


def test_a_url_nothing_can_be_sent_to_is_refused_for_good() -> None:
    with pytest.raises(TransportError) as raised:
        send("file:///etc/passwd", MESSAGE)
    assert raised.value.permanent
    assert "passwd" not in str(raised.value)
