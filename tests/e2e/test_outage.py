"""The collector is killed in the middle of traffic: the application does not notice, and the bill is right."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import outlay
import pytest

from tests.waiting import until

if TYPE_CHECKING:
    from tests.conftest import CollectorProcess, Provider

    Bill = Callable[[Iterable[Mapping[str, Any]]], dict[str, Decimal]]

PACE = {"x-fault": "slow=0.03"}
BEAT_S = 0.01
UNNOTICED_S = 5.0
"""Far more than a call takes here, far less than a client that waits for its collector would need."""


class Traffic:
    """Threads of an application that call both providers until they are stopped. How long that takes is told in the
    beats of another of its threads, which stands still where the whole process does."""

    def __init__(self, provider: Provider) -> None:
        self.beats: list[int] = []
        self._beat = 0
        self.errors: list[Exception] = []
        self._stopped = threading.Event()
        self._provider = provider
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(2)]
        self._threads.append(threading.Thread(target=self._go_on_beating))

    def _go_on_beating(self) -> None:
        while not self._stopped.wait(BEAT_S):
            self._beat += 1

    def _call(self, thread: int) -> None:
        messages: list[Any] = [{"role": "user", "content": f"Hello from thread {thread}."}]
        with (
            openai.OpenAI(base_url=self._provider.openai, api_key="k") as chatter,
            anthropic.Anthropic(base_url=self._provider.anthropic, api_key="k") as messenger,
        ):
            while not self._stopped.is_set():
                began = self._beat
                try:
                    chatter.chat.completions.create(model="gpt-4.1-mini", messages=messages, extra_headers=PACE)
                    for _ in messenger.messages.create(
                        model="claude-haiku-4-5", max_tokens=99, messages=messages, stream=True, extra_headers=PACE
                    ):
                        pass
                except Exception as error:  # noqa: BLE001 - whatever reaches the application is a failure of the test
                    self.errors.append(error)
                self.beats.append(self._beat - began)

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def instrumented(outlay_process: CollectorProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[CollectorProcess]:
    monkeypatch.setenv("OUTLAY_EXPORT_INTERVAL_S", "0.01")  # many small batches: one is under way when the end comes
    outlay.instrument(endpoint=outlay_process.url, service="e2e")
    yield outlay_process
    outlay.uninstrument()


def test_a_killed_collector_costs_the_application_nothing_and_the_bill_no_call(
    instrumented: CollectorProcess, fake_provider: Provider, bill_by_hand: Bill
) -> None:
    log = fake_provider.log.entries
    with Traffic(fake_provider) as traffic:
        for _ in range(2):
            seen = len(log)
            until(lambda seen=seen: len(log) >= seen + 20, "traffic while the collector is up")
            instrumented.kill()
            seen = len(log)
            until(lambda seen=seen: len(log) >= seen + 20, "traffic while the collector is down")
            instrumented.start()
    assert traffic.errors == []
    assert max(traffic.beats) * BEAT_S < UNNOTICED_S
    assert outlay.flush(60)

    usage = instrumented.get("/api/v1/usage", group_by="model")
    assert {row["model"]: Decimal(row["cost_usd"]) for row in usage["rows"]} == bill_by_hand(map(asdict, log))
    assert sum(row["calls"] for row in usage["rows"]) == len(log)
