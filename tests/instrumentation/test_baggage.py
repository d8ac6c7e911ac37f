"""Attribution carried from service to service in W3C baggage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import outlay
import pytest
from opentelemetry import context as otel_context
from opentelemetry import propagate
from outlay.errors import ConfigError

from tests.conftest import Provider
from tests.instrumentation.doubles import Receiver

QUESTION: Any = [{"role": "user", "content": "Which rivers end in the Black Sea?"}]


@pytest.fixture
def carrying(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("OUTLAY_STRICT", "1")
    monkeypatch.setenv("OUTLAY_BAGGAGE", "tenant, user,tag.team")
    outlay.instrument(endpoint=receiver.url)
    yield receiver
    outlay.uninstrument()


def ask(provider: Provider, http: httpx2.Client | None = None) -> None:
    with openai.OpenAI(api_key="none", base_url=provider.openai, http_client=http) as client:
        client.chat.completions.create(model="gpt-4.1", messages=QUESTION)


def sent_headers() -> dict[str, str]:
    """What an instrumented HTTP client would put into a request made here."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


def asked_with(headers: dict[str, str], provider: Provider) -> None:
    """A call made while serving a request that came with those headers."""
    token = otel_context.attach(propagate.extract(headers))
    try:
        ask(provider)
    finally:
        otel_context.detach(token)


def test_the_next_service_learns_what_the_list_names_and_nothing_else(
    fake_provider: Provider, carrying: Receiver
) -> None:
    with outlay.context(tenant="acmé, inc", user="u1", feature="chat", tags={"team": "search", "tier": "free"}):
        headers = sent_headers()
    asked_with(headers, fake_provider)
    call = carrying.only_call()
    assert call["outlay.tenant"] == "acmé, inc"
    assert call["user.id"] == "u1"
    assert call["outlay.tag.team"] == "search"
    assert "outlay.feature" not in call
    assert "outlay.tag.tier" not in call


def test_what_this_service_says_wins(fake_provider: Provider, carrying: Receiver) -> None:
    with outlay.context(tenant="acme", user="u1", tags={"team": "search"}):
        headers = sent_headers()
    with outlay.context(tenant="globex", tags={"team": "ads"}):
        asked_with(headers, fake_provider)
    call = carrying.only_call()
    assert (call["outlay.tenant"], call["user.id"], call["outlay.tag.team"]) == ("globex", "u1", "ads")


def test_a_sender_cannot_set_what_the_list_does_not_name(fake_provider: Provider, carrying: Receiver) -> None:
    asked_with({"baggage": "outlay.feature=free-of-charge,session.id=s9,outlay.tenant=acme"}, fake_provider)
    call = carrying.only_call()
    assert call["outlay.tenant"] == "acme"
    assert "outlay.feature" not in call
    assert "session.id" not in call


def test_nothing_is_carried_unless_it_is_asked_for(fake_provider: Provider, instrumented: Receiver) -> None:
    with outlay.context(tenant="acme"):
        assert "baggage" not in sent_headers()
    asked_with({"baggage": "outlay.tenant=acme"}, fake_provider)
    assert "outlay.tenant" not in instrumented.only_call()


def test_a_provider_learns_nothing(fake_provider: Provider, carrying: Receiver) -> None:
    seen: list[dict[str, str]] = []

    def inject(request: httpx2.Request) -> None:
        seen.append(sent_headers())

    with httpx2.Client(event_hooks={"request": [inject]}, timeout=60) as http:
        client = openai.OpenAI(api_key="none", base_url=fake_provider.openai, http_client=http)
        token = otel_context.attach(propagate.extract({"baggage": "theirs=1"}))
        with outlay.context(tenant="acme", user="u1"):
            client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
            assert "outlay.tenant" in sent_headers()["baggage"]
        otel_context.detach(token)
    assert [headers["baggage"] for headers in seen] == ["theirs=1"]
    assert carrying.only_call()["outlay.tenant"] == "acme"


def test_baggage_ends_with_its_block(carrying: Receiver) -> None:
    with outlay.context(tenant="acme"):
        with outlay.context(tenant="globex"):
            assert sent_headers()["baggage"] == "outlay.tenant=globex"
        assert sent_headers()["baggage"] == "outlay.tenant=acme"
    assert "baggage" not in sent_headers()


def test_nothing_is_carried_once_outlay_is_gone(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTLAY_BAGGAGE", "tenant")
    outlay.instrument(endpoint=receiver.url)
    outlay.uninstrument()
    with outlay.context(tenant="acme"):
        assert "baggage" not in sent_headers()


def test_a_mistyped_field_is_named_with_its_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTLAY_BAGGAGE", "tenent")
    with pytest.raises(ConfigError, match=r"OUTLAY_BAGGAGE = 'tenent': expected .*did you mean tenant\?"):
        outlay.instrument()
