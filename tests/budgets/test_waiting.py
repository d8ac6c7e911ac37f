"""Waiting for the collector: the loop goes on, what is cancelled gives back, a new process lets nothing slip."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import outlay
import pytest
from outlay.budgets.waiting import in_thread
from outlay.installation import runtime
from outlay.model import Cost, Usage
from outlay_collector.app import create_app
from outlay_collector.serving import Server
from outlay_collector.settings import Settings, Store
from starlette.middleware.base import BaseHTTPMiddleware

from tests.waiting import until

MESSAGES: Any = [{"role": "user", "content": "hello"}]


class Hold:
    """Keeps one request, the n-th for leases, waiting until it is let go."""

    def __init__(self) -> None:
        self.path = "/api/v1/budgets/leases"
        self.nth: int | None = None
        self.asked, self.may_answer = threading.Event(), threading.Event()
        self.is_over = False
        self._seen = 0

    async def __call__(self, request: Any, call_next: Any) -> Any:
        if request.url.path == self.path and self.nth is not None:
            self._seen += 1
            if self._seen == self.nth:
                self.asked.set()
                await asyncio.to_thread(self.may_answer.wait, 30)
                self.is_over = True
        return await call_next(request)


@pytest.fixture
def hold() -> Hold:
    return Hold()


@pytest.fixture
def collector(hold: Hold, tmp_path: Path, patient: None) -> Iterator[str]:
    app = create_app(Settings(store=Store(url=f"sqlite:///{tmp_path}/outlay.db")))
    app.add_middleware(BaseHTTPMiddleware, dispatch=hold)
    with Server(app, log_level="critical") as server:
        yield server.url
    outlay.uninstrument()


def put(collector: str, **keys: Any) -> None:
    httpx2.put(f"{collector}/api/v1/budgets/bot", json=keys, timeout=60).raise_for_status()


@pytest.mark.parametrize("nth", [1, 2], ids=["learning its budgets", "asking for a lease"])
async def test_other_tasks_of_the_loop_go_on_while_the_collector_thinks(
    nth: int, hold: Hold, collector: str, fake_provider: Any
) -> None:
    """Only another task of the same loop lets the collector answer: a loop that stood still would be refused."""
    put(collector, limit={"calls": 1}, when_unreachable="closed")
    hold.nth = nth
    outlay.instrument("openai", endpoint=collector)

    async def let_go() -> None:
        while not hold.asked.is_set():
            await asyncio.sleep(0)
        hold.may_answer.set()

    async with openai.AsyncOpenAI(base_url=fake_provider.openai, api_key="sk-test", max_retries=0) as client:
        call = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        await asyncio.gather(call, let_go())
        with pytest.raises(outlay.BudgetExceeded):
            await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert len(fake_provider.log.entries) == 1


async def test_a_call_that_is_refused_after_waiting_is_not_told_as_lost(collector: str, fake_provider: Any) -> None:
    put(collector, limit={"calls": 1}, when_unreachable="closed")
    outlay.instrument("openai", endpoint=collector)
    running = runtime()
    assert running is not None
    options: dict[str, Any] = {"base_url": fake_provider.openai, "api_key": "sk-test", "max_retries": 0}
    async with openai.AsyncOpenAI(**options) as client:
        await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        with pytest.raises(outlay.BudgetExceeded):
            await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    with openai.OpenAI(**options) as blocking, pytest.raises(outlay.BudgetExceeded):
        blocking.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    outlay.uninstrument()

    assert running.delivery.tally.losses() == {}


async def test_nor_is_one_that_is_cancelled_while_it_waits(hold: Hold, collector: str, fake_provider: Any) -> None:
    put(collector, limit={"calls": 1}, when_unreachable="closed")
    hold.nth = 1
    outlay.instrument("openai", endpoint=collector)
    running = runtime()
    assert running is not None
    async with openai.AsyncOpenAI(base_url=fake_provider.openai, api_key="sk-test", max_retries=0) as client:
        waiting = asyncio.create_task(client.chat.completions.create(model="gpt-4o", messages=MESSAGES))
        while not hold.asked.is_set():
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    hold.may_answer.set()
    outlay.uninstrument()

    assert running.delivery.tally.losses() == {}


class Impatient(Exception):
    """The application's own."""


@pytest.mark.parametrize("error", [Impatient, TimeoutError])
@pytest.mark.parametrize("nth", [1, 2], ids=["learning its budgets", "asking for a lease"])
def test_what_a_signals_handler_raises_meanwhile_reaches_the_application(
    nth: int, error: type[Exception], hold: Hold, collector: str, fake_provider: Any
) -> None:
    def interrupt(number: int, frame: Any) -> None:
        raise error("enough")

    def when_asked() -> None:
        hold.asked.wait(30)
        os.kill(os.getpid(), signal.SIGUSR1)

    put(collector, limit={"usd": "0.4"}, when_unreachable="closed")
    hold.nth = nth
    outlay.instrument("openai", endpoint=collector)
    before = signal.signal(signal.SIGUSR1, interrupt)
    impatience = threading.Thread(target=when_asked)
    impatience.start()
    client = openai.OpenAI(base_url=fake_provider.openai, api_key="sk-test", max_retries=0)
    try:
        with pytest.raises(error, match="enough"):
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    finally:
        impatience.join()
        signal.signal(signal.SIGUSR1, before)
    hold.may_answer.set()

    def passes() -> bool:
        try:
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        except outlay.BudgetExceeded:
            return False
        return True

    with client:
        until(passes, "what was set aside for it is given back")
    running = runtime()
    assert running is not None
    assert running.delivery.tally.losses() == {}
    assert len(fake_provider.log.entries) == 1


def test_a_flush_takes_no_longer_than_it_says_while_budgets_are_being_settled(
    hold: Hold, collector: str, fake_provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outlay.budgets.keeper._BACKGROUND_TIMEOUT_S", 60.0)
    put(collector, limit={"calls": 9})
    hold.path, hold.nth = "/api/v1/budgets/settle", 1
    outlay.instrument("openai", endpoint=collector)
    with openai.OpenAI(base_url=fake_provider.openai, api_key="sk-test", max_retries=0) as client:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        assert hold.asked.wait(60)
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert not outlay.flush(timeout_s=0.1)
    assert not hold.is_over
    hold.may_answer.set()
    assert outlay.flush(timeout_s=60)


class Kept:
    """A reservation that says what it was settled with."""

    def __init__(self) -> None:
        self.settled: list[Cost | None] = []
        self.is_settled = threading.Event()

    def settle(self, cost: Cost | None, usage: Usage | None = None, span: Any = None) -> None:
        self.settled.append(cost)
        self.is_settled.set()


async def test_a_task_that_is_cancelled_while_it_waits_gives_back_what_was_set_aside() -> None:
    kept, asked, answer = Kept(), threading.Event(), threading.Event()

    def ask() -> Kept:
        asked.set()
        answer.wait(30)
        return kept

    task = asyncio.create_task(in_thread(ask))
    while not asked.is_set():
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    answer.set()
    assert await asyncio.to_thread(kept.is_settled.wait, 30)
    assert kept.settled == [None]


async def test_many_tasks_ask_at_once() -> None:
    """What one of them waits for is no reason for another, of another budget or user, to wait."""
    asking = threading.Barrier(20)

    def ask() -> Kept:
        asking.wait(30)
        return Kept()

    assert len(await asyncio.gather(*(in_thread(ask) for _ in range(20)))) == 20


async def test_a_refusal_in_the_thread_reaches_the_task() -> None:
    def ask() -> Kept:
        raise outlay.BudgetExceeded(
            "no", budget="b", scope={}, limit_usd=None, spent_usd=None, reserved_usd=None, resets_at=None
        )

    with pytest.raises(outlay.BudgetExceeded):
        await in_thread(ask)


FRESH = """
import asyncio, sys
import openai, outlay
from outlay.budgets import keeper

keeper.FIRST_WAIT_S = keeper.ASK_TIMEOUT_S = keeper.LOOP_ASK_TIMEOUT_S = 60.0  # however slow this machine is just now
kind, collector, provider = sys.argv[1:]
outlay.instrument("openai", endpoint=collector)
keys = dict(model="gpt-4o", messages=[{"role": "user", "content": "hello"}])

async def many():
    client = openai.AsyncOpenAI(base_url=provider, api_key="sk-test", max_retries=0)
    return await asyncio.gather(*(client.chat.completions.create(**keys) for _ in range(20)), return_exceptions=True)

def one():
    try:
        openai.OpenAI(base_url=provider, api_key="sk-test", max_retries=0).chat.completions.create(**keys)
    except outlay.BudgetExceeded as refused:
        return [refused]
    return [None]

found = asyncio.run(many()) if kind == "tasks" else one()
print(sum(isinstance(each, outlay.BudgetExceeded) for each in found), len(found))
"""


@pytest.mark.parametrize("kind", ["thread", "tasks"])
def test_a_process_that_starts_while_the_budget_is_spent_sends_nothing(
    kind: str, collector: str, fake_provider: Any
) -> None:
    put(collector, limit={"calls": 0})
    for _ in range(2):
        command = [sys.executable, "-c", FRESH, kind, collector, fake_provider.openai]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        refused, made = map(int, done.stdout.split())
        assert refused == made
    assert fake_provider.log.entries == []
