"""From an application's call through its real SDK to every place the collector shows it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import outlay
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import CollectorProcess, Provider

    Bill = Callable[[Iterable[Mapping[str, Any]]], dict[str, Decimal]]

HELLO: list[Any] = [{"role": "user", "content": "Say hello to the new customer."}]
HANDBOOK = "Rule: answer in one paragraph and name the page. " * 120
OUTLAY = str(Path(sys.executable).with_name("outlay"))


@pytest.fixture
def application(outlay_process: CollectorProcess) -> Iterator[CollectorProcess]:
    """This process as an application with Outlay on, and the collector it reports to."""
    outlay.instrument(endpoint=outlay_process.url, service="e2e", environment="test")
    yield outlay_process
    outlay.uninstrument()


def run(*arguments: str) -> str:
    done = subprocess.run([OUTLAY, *arguments], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def call_everything(provider: Provider) -> None:
    system: Any = [{"type": "text", "text": HANDBOOK, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    cached: list[Any] = [{"role": "system", "content": HANDBOOK}, *HELLO]
    with openai.OpenAI(base_url=provider.openai, api_key="k") as chatter:
        for _ in range(2):
            chatter.chat.completions.create(model="gpt-4.1-mini", messages=cached)
        chatter.chat.completions.create(model="gpt-4.1", messages=HELLO, extra_headers={"x-fault": "429x1"})
        assert list(chatter.chat.completions.create(model="gpt-4.1", messages=HELLO, stream=True))
        chatter.responses.create(model="gpt-5-mini", input="Plan the move.")
        with chatter.responses.stream(model="gpt-4.1", input="Plan the move.") as events:
            events.until_done()
        chatter.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    with anthropic.Anthropic(base_url=provider.anthropic, api_key="k") as messenger:
        for _ in range(2):
            messenger.messages.create(model="claude-haiku-4-5", max_tokens=500, system=system, messages=HELLO)
        with messenger.messages.stream(model="claude-sonnet-4-6", max_tokens=500, messages=HELLO) as stream:
            stream.until_done()


async def call_everything_again(provider: Provider) -> None:
    async with openai.AsyncOpenAI(base_url=provider.openai, api_key="k") as chatter:
        await chatter.chat.completions.create(model="gpt-4.1-mini", messages=HELLO)
        async for _ in await chatter.responses.create(model="gpt-5-mini", input="Plan.", stream=True):
            pass
    async with anthropic.AsyncAnthropic(base_url=provider.anthropic, api_key="k") as messenger:
        await messenger.messages.create(model="claude-haiku-4-5", max_tokens=500, messages=HELLO)
        async with messenger.messages.stream(model="claude-sonnet-4-6", max_tokens=500, messages=HELLO) as stream:
            await stream.until_done()


def by_model(rows: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
    return {row["model"]: Decimal(row["cost_usd"]) for row in rows if row["cost_usd"] is not None}


async def test_every_figure_is_the_providers_usage_times_its_price(
    application: CollectorProcess, fake_provider: Provider, bill_by_hand: Bill
) -> None:
    with outlay.context(feature="chat", user="u42", tenant="acme"):
        call_everything(fake_provider)
        await call_everything_again(fake_provider)
    assert outlay.flush(60)
    log = [asdict(entry) for entry in fake_provider.log.entries]
    # The application did not ask for the usage of its stream: Outlay did, in its stead.
    assert [entry["usage"] is not None for entry in log] == [entry["status"] == 200 for entry in log]
    expected = bill_by_hand(log)
    assert len(expected) == 6

    usage = application.get("/api/v1/usage", group_by="model,feature,user,tenant,service")
    assert by_model(usage["rows"]) == expected
    for row in usage["rows"]:
        assert tuple(row[name] for name in ("feature", "user", "tenant", "service")) == ("chat", "u42", "acme", "e2e")
    assert sum(row["calls"] for row in usage["rows"]) == 14
    assert sum(row["rate_limited"] for row in usage["rows"]) == 1
    assert sum(row["unpriced_calls"] for row in usage["rows"]) == 0

    table = json.loads(run("spend", "--by", "model", "--endpoint", application.url, "--json"))
    assert by_model(table["rows"]) == expected
    assert Decimal(table["total"]["cost_usd"]) == sum(expected.values())
    report = run("export", "--by", "model", "--interval", "none", "--db", application.db)
    assert by_model(csv.DictReader(io.StringIO(report))) == expected


def test_a_call_whose_model_has_no_price_is_shown_and_never_free(
    application: CollectorProcess, fake_provider: Provider
) -> None:
    with openai.OpenAI(base_url=fake_provider.openai, api_key="k") as chatter:
        chatter.chat.completions.create(model="labels-7b", messages=HELLO)
        chatter.chat.completions.create(model="gpt-4.1-mini", messages=HELLO)
    assert outlay.flush(60)
    (row, priced) = sorted(
        application.get("/api/v1/usage", group_by="model")["rows"], key=lambda row: row["model"] < "h"
    )
    assert (row["model"], row["calls"], row["unpriced_calls"], row["cost_usd"]) == ("labels-7b", 1, 1, None)
    assert priced["unpriced_calls"] == 0
    shown = run("spend", "--endpoint", application.url)
    assert "labels-7b" in shown
    assert "1 call without a price" in shown


def test_a_failed_call_is_an_error_and_costs_nothing(application: CollectorProcess, fake_provider: Provider) -> None:
    with (
        anthropic.Anthropic(base_url=fake_provider.anthropic, api_key="k", max_retries=1) as messenger,
        pytest.raises(anthropic.InternalServerError),
    ):
        messenger.messages.create(
            model="claude-haiku-4-5", max_tokens=9, messages=HELLO, extra_headers={"x-fault": "500"}
        )
    assert outlay.flush(60)
    (row,) = application.get("/api/v1/usage")["rows"]
    assert (row["calls"], row["errors"], row["retries"], row["unpriced_calls"]) == (1, 1, 1, 0)
    assert Decimal(row["cost_usd"]) == 0
