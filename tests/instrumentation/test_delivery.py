"""On the way to the collector: nothing waits for it, nothing is counted twice, and what is lost is said."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from typing import Any

import openai
import outlay
import pytest

from tests.conftest import Provider
from tests.instrumentation.doubles import Receiver
from tests.instrumentation.spooling import delivery
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("nothing_stays")
QUESTION: Any = [{"role": "user", "content": "Which rivers end in the Black Sea?"}]


@pytest.fixture(autouse=True)
def _when_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent by itself but where a test says so, and all of it at an end, however long a statement takes."""
    monkeypatch.setenv("OUTLAY_EXPORT_INTERVAL_S", "60")
    monkeypatch.setenv("OUTLAY_EXIT_FLUSH_S", "30")


def ask(client: openai.OpenAI, times: int = 1) -> list[str]:
    """The ids of the answers."""
    return [client.chat.completions.create(model="gpt-4.1", messages=QUESTION).id for _ in range(times)]


def test_calls_are_sent_by_themselves(client: openai.OpenAI, receiver: Receiver, monkeypatch: Any) -> None:
    monkeypatch.setenv("OUTLAY_EXPORT_INTERVAL_S", "0.01")
    outlay.instrument(endpoint=receiver.url, api_key="secret-key")
    ids = ask(client, 3)
    until(lambda: len(receiver.spans) == 3, "3 spans")
    outlay.uninstrument()
    assert sorted(receiver.response_ids) == sorted(ids)
    assert receiver.headers[0]["authorization"] == "Bearer secret-key"
    assert receiver.headers[0]["content-type"] == "application/x-protobuf"


def test_a_collector_that_is_away_changes_nothing_and_gets_every_call_once_when_it_is_back(
    client: openai.OpenAI, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses = [503, 503]
    outlay.instrument(endpoint=receiver.url)
    ids = ask(client, 2)
    with caplog.at_level(logging.WARNING, "outlay.export"):
        assert not outlay.flush()
        ids += ask(client, 2)
        assert not outlay.flush()
    assert outlay.flush()
    outlay.uninstrument()
    assert receiver.response_ids == ids
    assert [record.message for record in caplog.records if "503" in record.message] == [
        f"{receiver.url}/v1/traces answered 503; calls wait and are sent later"
    ]


def test_calls_are_retried_without_being_asked(
    client: openai.OpenAI, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTLAY_EXPORT_INTERVAL_S", "0.01")
    receiver.statuses = [503]
    outlay.instrument(endpoint=receiver.url)
    ids = ask(client)
    until(lambda: len(receiver.spans) == 1, "1 spans")
    outlay.uninstrument()
    assert receiver.response_ids == ids
    assert receiver.requests == 2


def test_without_a_spool_nobody_listening_costs_the_application_no_time_and_no_error(
    client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTLAY_SPOOL_DIR", "off")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        outlay.instrument(endpoint=f"http://127.0.0.1:{unused.getsockname()[1]}")
        assert len(ask(client, 3)) == 3
        assert not outlay.flush(timeout_s=2)
        assert delivery().dropped == 0
        sending = delivery()
        outlay.uninstrument()
    assert sending.dropped == 3


def test_a_batch_the_collector_will_never_take_is_counted_as_dropped(client: openai.OpenAI, receiver: Receiver) -> None:
    receiver.statuses = [400]
    outlay.instrument(endpoint=receiver.url)
    ask(client, 2)
    assert outlay.flush()
    assert delivery().dropped == 2
    outlay.uninstrument()


@pytest.mark.parametrize(("status", "is_flushed"), [(401, False), (403, False), (404, True), (302, True), (503, False)])
def test_losses_that_reached_nobody_are_told_again(
    client: openai.OpenAI, receiver: Receiver, status: int, is_flushed: bool
) -> None:
    receiver.statuses, receiver.statuses_of_metrics = [400], [status]
    outlay.instrument(endpoint=receiver.url)
    ask(client, 2)
    assert outlay.flush() is is_flushed
    assert receiver.losses == {}
    ask(client)
    assert outlay.flush()
    assert list(receiver.losses.values()) == [2]
    outlay.uninstrument()


def test_a_flush_may_be_given_all_the_time_there_is(client: openai.OpenAI, receiver: Receiver) -> None:
    outlay.instrument(endpoint=receiver.url)
    ids = ask(client)
    assert outlay.flush(timeout_s=float("inf"))
    outlay.uninstrument()
    assert receiver.response_ids == ids


def test_a_signals_handler_may_flush_in_the_middle_of_a_flush(client: openai.OpenAI, receiver: Receiver) -> None:
    flushed: list[bool] = []

    def interrupt() -> None:
        receiver.meanwhile = None
        os.kill(os.getpid(), signal.SIGUSR1)

    outlay.instrument(endpoint=receiver.url)
    ids = ask(client)
    receiver.meanwhile = interrupt
    before = signal.signal(signal.SIGUSR1, lambda number, frame: flushed.append(outlay.flush(timeout_s=60)))
    try:
        assert outlay.flush(timeout_s=60)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert flushed == [True]
    assert receiver.response_ids == ids
    outlay.uninstrument()


def test_a_batch_that_is_too_large_is_sent_in_halves(client: openai.OpenAI, receiver: Receiver) -> None:
    receiver.statuses = [413, 413, 200, 200]
    outlay.instrument(endpoint=receiver.url)
    ids = ask(client, 4)
    assert outlay.flush()
    assert delivery().dropped == 0
    outlay.uninstrument()
    assert receiver.response_ids == ids
    assert receiver.requests == 5  # all four, two of them, each of those, the other two


def test_calls_that_end_while_the_collector_answers_go_together_the_next_time(
    client: openai.OpenAI, receiver: Receiver
) -> None:
    outlay.instrument(endpoint=receiver.url)
    receiver.meanwhile = lambda: ask(client, 2)
    ask(client, 3)
    assert outlay.flush()
    assert (receiver.requests, len(receiver.spans)) == (1, 3)
    receiver.meanwhile = None
    assert outlay.flush()
    assert (receiver.requests, len(receiver.spans)) == (2, 5)
    outlay.uninstrument()


def test_a_flush_goes_behind_what_a_thread_has_begun_to_conclude(receiver: Receiver) -> None:
    outlay.instrument(endpoint=receiver.url)
    begun, may_end, concluded = threading.Event(), threading.Event(), list[str]()

    def first() -> None:
        begun.set()
        may_end.wait(60)
        concluded.append("first")

    delivery().start()
    delivery().do_later(first)
    assert begun.wait(60)
    delivery().do_later(lambda: concluded.append("second"))
    threading.Timer(0.2, may_end.set).start()
    assert outlay.flush(timeout_s=60)
    outlay.uninstrument()
    assert concluded == ["first", "second"]


def test_what_the_queue_cannot_hold_is_counted_as_dropped(
    client: openai.OpenAI, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTLAY_QUEUE_CALLS", "2")
    monkeypatch.setenv("OUTLAY_SPOOL_DIR", "off")
    outlay.instrument(endpoint=receiver.url)
    ids = ask(client, 5)
    assert outlay.flush()
    assert delivery().dropped == 3
    outlay.uninstrument()
    assert receiver.response_ids == ids[:2]


def test_the_end_of_the_process_sends_what_waits(fake_provider: Provider, receiver: Receiver) -> None:
    code = f"""
        import openai, outlay
        outlay.instrument(endpoint={receiver.url!r})
        with openai.OpenAI(api_key="none", base_url={fake_provider.openai!r}) as client:
            print(client.chat.completions.create(model="gpt-4.1", messages={QUESTION!r}).id)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert receiver.response_ids == [done.stdout.strip()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_sends_its_own_calls_and_not_its_parents(
    client: openai.OpenAI, fake_provider: Provider, receiver: Receiver
) -> None:
    outlay.instrument(endpoint=receiver.url)
    (parents,) = ask(client)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with openai.OpenAI(api_key="none", base_url=fake_provider.openai) as own:
                os.write(writing, ask(own)[0].encode())
            outlay.flush()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    childs = os.read(reading, 200).decode()
    os.close(reading)
    os.close(writing)
    assert receiver.response_ids == [childs]
    outlay.uninstrument()
    assert receiver.response_ids == [parents, childs]


def test_a_terminated_process_loses_at_most_what_was_not_sent_yet(fake_provider: Provider, receiver: Receiver) -> None:
    code = f"""
        import sys, openai, outlay
        outlay.instrument(endpoint={receiver.url!r})
        client = openai.OpenAI(api_key="none", base_url={fake_provider.openai!r})
        client.chat.completions.create(model="gpt-4.1", messages={QUESTION!r})
        assert outlay.flush()
        print("flushed", flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"flushed\n"
        process.send_signal(signal.SIGKILL)
    assert len(receiver.spans) == 1
