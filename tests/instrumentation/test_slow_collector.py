"""A collector that answers late, or in drops: the application does not notice, and every call is there once."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import outlay
import pytest
from outlay import installation

from tests.conftest import Provider
from tests.instrumentation import application
from tests.instrumentation.doubles import Receiver
from tests.instrumentation.slow_collector import SlowCollector, slow_collector
from tests.instrumentation.spooling import left_by_others
from tests.waiting import until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the spool needs the file locks of POSIX")

A_WAIT_S = 0.25
"""Half of the least that a call would take which waited for the collector."""
AT_MOST_S = 60.0
"""For what has half a second: a busy machine is slow, an answer in drops takes more than three minutes, and so long it
may."""


@pytest.fixture
def slow(receiver: Receiver) -> Iterator[SlowCollector]:
    with slow_collector(receiver.url) as slow:
        yield slow


def timed(client: openai.OpenAI, calls: int) -> tuple[list[str], float]:
    """The ids of the answers, and the median of the seconds they took."""
    ids, took_s = [], []
    for _ in range(calls):
        began = time.perf_counter()
        ids.append(application.ask(client))
        took_s.append(time.perf_counter() - began)
    return ids, statistics.median(took_s)


@pytest.mark.parametrize(("late_s", "drops"), [(60.0, False), (0.0, True)], ids=["late", "in drops"])
def test_the_application_has_its_answers_as_soon_as_ever(
    late_s: float, drops: bool, slow: SlowCollector, client: openai.OpenAI, receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("OUTLAY_EXPORT_INTERVAL_S", "0.01")
    monkeypatch.setenv("OUTLAY_EXPORT_TIMEOUT_S", "0.5")
    _, without_s = timed(client, 15)
    slow.late_s, slow.drops = late_s, drops
    outlay.instrument("openai", endpoint=slow.url)
    application.ask(client)  # from here on the collector owes an answer
    ids, with_s = timed(client, 15)
    assert slow.answered == 0
    assert with_s < without_s + A_WAIT_S
    assert not outlay.flush(timeout_s=0.2)
    slow.late_s, slow.drops = 0.0, False
    until(lambda: outlay.flush(timeout_s=30), "everything sent")
    running = installation.runtime()
    assert running is not None
    assert running.delivery.dropped == 0
    outlay.uninstrument()
    assert set(receiver.response_ids) >= set(ids)


def test_a_flush_is_over_in_its_time_though_the_answer_comes_in_drops(
    slow: SlowCollector, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTLAY_EXPORT_INTERVAL_S", "60")
    monkeypatch.setenv("OUTLAY_EXPORT_TIMEOUT_S", "600")
    slow.drops = True
    outlay.instrument("openai", endpoint=slow.url)
    application.ask(client)
    began = time.monotonic()
    assert not outlay.flush(timeout_s=0.5)
    assert time.monotonic() - began < AT_MOST_S
    slow.drops = False
    assert outlay.flush()
    outlay.uninstrument()


def test_the_end_of_a_process_does_not_wait_for_an_answer_in_drops(
    slow: SlowCollector, fake_provider: Provider, receiver: Receiver, spool_dir: Path
) -> None:
    slow.drops = True
    command = [sys.executable, application.__file__, slow.url, fake_provider.openai, "call", "2"]
    environment = {**os.environ, "OUTLAY_EXIT_FLUSH_S": "0.5", "OUTLAY_EXPORT_INTERVAL_S": "60"}
    environment["OUTLAY_EXPORT_TIMEOUT_S"] = "600"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        ids = [process.stdout.readline().strip() for _ in range(2)]
        began = time.monotonic()
        assert process.wait(120) == 0
        assert time.monotonic() - began < AT_MOST_S
    slow.drops = False
    outlay.instrument("openai", endpoint=slow.url)
    until(lambda: not left_by_others(spool_dir), "what that one left")
    outlay.uninstrument()
    assert set(receiver.response_ids) >= set(ids)


def test_a_status_that_came_counts_though_the_rest_of_the_answer_does_not_come(
    client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTLAY_EXPORT_INTERVAL_S", "60")
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):  # budgets are asked for as well
                held.append(server.accept()[0])
                held[-1].recv(1)
                held[-1].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        outlay.instrument("openai", endpoint=f"http://127.0.0.1:{server.getsockname()[1]}")
        application.ask(client)
        assert outlay.flush(timeout_s=5)  # half of what an answer is waited for
        outlay.uninstrument()
    for connection in held:
        connection.close()
