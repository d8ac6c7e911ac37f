"""A hard budget, end to end: the real SDK, a provider over HTTP, and the real collector between two processes' worth
of clients. Nothing that is refused reaches the provider."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import openai
import outlay
import pytest
from outlay_collector.app import create_app
from outlay_collector.cli import app as command
from outlay_collector.serving import Server
from outlay_collector.settings import Settings, Store
from typer.testing import CliRunner


@pytest.fixture
def collector(tmp_path: Path, patient: None) -> Iterator[str]:
    app = create_app(Settings(store=Store(url=f"sqlite:///{tmp_path}/outlay.db")))
    with Server(app, log_level="critical") as server:
        yield server.url


@pytest.fixture
def client(fake_provider: Any, collector: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=fake_provider.openai, api_key="sk-test", max_retries=0) as client:
        yield client
    outlay.uninstrument()


def put(collector: str, name: str, **keys: Any) -> None:
    answer = httpx2.put(f"{collector}/api/v1/budgets/{name}", json=keys, timeout=60)
    assert answer.status_code == 200, answer.text


def budget(collector: str, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = httpx2.get(f"{collector}/api/v1/budgets", timeout=60).json()["budgets"]
    return next(each for each in found if each["name"] == name)


def chat(client: openai.OpenAI, **keys: Any) -> Any:
    return client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "hello"}], max_tokens=1000, **keys
    )


def test_a_call_that_would_pass_the_limit_is_never_sent(
    client: openai.OpenAI, collector: str, fake_provider: Any
) -> None:
    # gpt-4o: $4.25 and $17 a million tokens at its priority tier, which a project may be set to. Five fields, 15
    # letters at a half, all times 1.35, and 32 around them: at most 48 tokens; the answer 1,000:
    # 48 * 4,250 + 1,000 * 17,000 = 17,204,000 nano-dollars, $0.017204
    put(collector, "bot", limit={"usd": "0.017203999"})
    outlay.instrument("openai", endpoint=collector)
    with pytest.raises(outlay.BudgetExceeded) as caught:
        chat(client)
    assert fake_provider.log.entries == []
    assert str(caught.value).startswith(
        'budget "bot" has no room for a call of up to $0.017204: $0.00 spent of $0.017203999'
    )
    assert budget(collector, "bot")["state"] == "exhausted"
    put(collector, "bot", limit={"usd": "0.017204"})


def test_a_budget_in_calls_lets_just_so_many_through(client: openai.OpenAI, collector: str, fake_provider: Any) -> None:
    put(collector, "bot", limit={"calls": 3}, period="month")
    outlay.instrument("openai", endpoint=collector)
    for _ in range(3):
        chat(client)
    with pytest.raises(outlay.BudgetExceeded) as caught:
        chat(client)
    assert len(fake_provider.log.entries) == 3
    assert caught.value.budget == "bot"
    assert (caught.value.limit_usd, caught.value.spent_usd) == (None, None)
    outlay.uninstrument()
    shown = budget(collector, "bot")
    assert (shown["spent"], shown["leased"], shown["remaining"], shown["state"]) == (3, 0, 0, "exhausted")


def test_only_the_user_who_spent_it_all_is_stopped(client: openai.OpenAI, collector: str, fake_provider: Any) -> None:
    put(collector, "bot", limit={"calls": 1}, per=["user"], match={"feature": "chat"})
    outlay.instrument("openai", endpoint=collector)
    with outlay.context(feature="chat"):
        with outlay.context(user="ann"):
            chat(client)
            with pytest.raises(outlay.BudgetExceeded) as caught:
                chat(client)
        assert caught.value.scope == {"user": "ann"}
        with outlay.context(user="bob"):
            chat(client)
        chat(client)
    with outlay.context(feature="search", user="ann"):
        chat(client)
    assert len(fake_provider.log.entries) == 4


async def test_asynchronous_calls_are_held_too(collector: str, fake_provider: Any) -> None:
    put(collector, "bot", limit={"calls": 1})
    outlay.instrument("openai", endpoint=collector)
    try:
        async with openai.AsyncOpenAI(base_url=fake_provider.openai, api_key="sk-test", max_retries=0) as client:
            messages: Any = [{"role": "user", "content": "hello"}]
            await client.chat.completions.create(model="gpt-4o", messages=messages)
            with pytest.raises(outlay.BudgetExceeded):
                await client.chat.completions.create(model="gpt-4o", messages=messages)
    finally:
        outlay.uninstrument()
    assert len(fake_provider.log.entries) == 1


def test_what_was_spent_is_counted_once_when_the_calls_arrive(
    client: openai.OpenAI, collector: str, fake_provider: Any
) -> None:
    put(collector, "bot", limit={"usd": 5})
    outlay.instrument("openai", endpoint=collector)
    for _ in range(5):
        chat(client)
    outlay.uninstrument()
    usages = [entry.usage for entry in fake_provider.log.entries]
    cached = [usage["prompt_tokens_details"]["cached_tokens"] for usage in usages]
    prompt = sum(usage["prompt_tokens"] for usage in usages) - sum(cached)
    nano = prompt * 2_500 + sum(cached) * 1_250 + sum(usage["completion_tokens"] for usage in usages) * 10_000
    shown = budget(collector, "bot")
    assert int(float(shown["spent_usd"]) * 10**9 + 0.5) == nano
    assert shown["leased_usd"] == "0"
    assert httpx2.get(f"{collector}/api/v1/summary", timeout=60).json()["today"]["calls"] == 5


def test_calls_held_back_are_shown_with_what_they_would_have_cost(client: openai.OpenAI, collector: str) -> None:
    put(collector, "bot", limit={"usd": "0.01"})
    outlay.instrument("openai", endpoint=collector, service="shop")
    with outlay.context(user="ann", feature="chat"):
        for _ in range(3):
            with pytest.raises(outlay.BudgetExceeded) as caught:
                chat(client)
    assert caught.value.reason == "no_room"
    assert outlay.flush()
    # as above: at most 17,204,000 nano-dollars each
    shown = budget(collector, "bot")
    assert (shown["held_back_calls"], shown["avoided_usd"]) == (3, "0.051612")
    told = httpx2.get(f"{collector}/api/v1/refusals?budget=bot", timeout=60).json()["refusals"]
    assert sum(each["calls"] for each in told) == 3
    assert {(each["reason"], each["provider"], each["model"]) for each in told} == {("no_room", "openai", "gpt-4o")}
    assert {(each["service"], each["feature"], each["user"]) for each in told} == {("shop", "chat", "ann")}
    assert httpx2.get(f"{collector}/api/v1/summary", timeout=60).json()["budgets"][0]["held_back_calls"] == 3


def test_the_command_shows_who_spends_a_budget_who_holds_it_and_what_it_held_back(
    client: openai.OpenAI, collector: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    put(collector, "bot", limit={"calls": 2})
    outlay.instrument("openai", endpoint=collector, service="shop")
    with outlay.context(user="ann", feature="chat"):
        for _ in range(2):
            chat(client)
        with pytest.raises(outlay.BudgetExceeded):
            chat(client)
    assert outlay.flush()
    arguments = ["budgets", "show", "bot", "--endpoint", collector]
    shown = CliRunner().invoke(command, arguments, catch_exceptions=False).output
    for words in ("exhausted", "1 call, $0.01", "no_room", "service=shop, feature=chat, user=ann", "openai/gpt-4o"):
        assert words in shown
    told = json.loads(CliRunner().invoke(command, [*arguments, "--json"], catch_exceptions=False).output)
    assert [(row["feature"], row["user"], row["calls"]) for row in told["spenders"]] == [("chat", "ann", 2)]
    assert told["refusals"][0]["avoided_usd"] == "0.017204"


def test_flushing_reports_what_calls_cost_their_budgets(client: openai.OpenAI, collector: str) -> None:
    put(collector, "bot", limit={"calls": 10})
    outlay.instrument("openai", endpoint=collector)
    chat(client)
    assert outlay.flush()
    assert budget(collector, "bot")["spent"] == 1


def test_a_price_put_right_frees_the_budget_it_had_blocked(
    client: openai.OpenAI, collector: str, fake_provider: Any
) -> None:
    models = ("gpt-4o", "gpt-4o-2024-11-20")  # asked for, and served
    wrong = [{"provider": "openai", "model": name, "input": 2_500, "output": 10_000} for name in models]
    put(collector, "bot", limit={"usd": 12})
    outlay.instrument("openai", endpoint=collector, prices=wrong)  # a thousand times too dear
    chat(client)  # 48 and 1,000 tokens at most: $10.12 set aside
    put(collector, "bot", limit={"usd": 0.05})
    outlay.uninstrument()
    outlay.instrument("openai", endpoint=collector)
    with pytest.raises(outlay.BudgetExceeded):
        chat(client)
    now = datetime.now(UTC)
    window = {"from": (now - timedelta(hours=1)).isoformat(), "to": (now + timedelta(hours=1)).isoformat()}
    done = httpx2.post(f"{collector}/api/v1/repricings", json=window, timeout=60).json()
    assert (done["calls"], done["changed"]) == (1, 1)
    (entry,) = fake_provider.log.entries
    cached = entry.usage["prompt_tokens_details"]["cached_tokens"]
    fresh, output = entry.usage["prompt_tokens"] - cached, entry.usage["completion_tokens"]
    nano = fresh * 2_500 + cached * 1_250 + output * 10_000
    assert Decimal(budget(collector, "bot")["spent_usd"]) == Decimal(nano) / 10**9
    outlay.uninstrument()
    outlay.instrument("openai", endpoint=collector)
    chat(client)
    assert len(fake_provider.log.entries) == 2


FORKING = """
import os, sys
import openai, outlay
from outlay.budgets import keeper

keeper.FIRST_WAIT_S = keeper.ASK_TIMEOUT_S = 60.0  # however slow this machine is just now

collector, provider = sys.argv[1:]
outlay.instrument("openai", endpoint=collector)

def calls():
    client, made = openai.OpenAI(base_url=provider, api_key="sk-test", max_retries=0), 0
    while True:
        try:
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}])
        except outlay.BudgetExceeded:
            return made
        made += 1
        if made == 2:
            return made

first = calls()
child = os.fork()
if child == 0:
    made = calls()
    outlay.uninstrument()
    os._exit(made)
_, status = os.waitpid(child, 0)
outlay.flush()
print(first, os.waitstatus_to_exitcode(status), calls())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_process_and_its_forked_child_share_the_limit(collector: str, fake_provider: Any) -> None:
    put(collector, "bot", limit={"calls": 5}, when_unreachable="closed")
    command = [sys.executable, "-c", FORKING, collector, fake_provider.openai]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["2", "2", "1"]
    assert len(fake_provider.log.entries) == 5
    shown = budget(collector, "bot")
    assert (shown["spent"], shown["leased"]) == (5, 0)
