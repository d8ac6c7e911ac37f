"""The disk spool: what a process that ends badly leaves behind, who sends it, and what is counted where nobody can."""

from __future__ import annotations

import logging
import mmap
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import openai
import outlay
import pytest
from outlay.framing import read_records
from outlay.tally import Loss, Tally

from tests.conftest import Provider
from tests.instrumentation import application
from tests.instrumentation.doubles import Receiver
from tests.instrumentation.spooling import (
    NEEDS_FILE_LOCKS,
    Application,
    delivery,
    inherit,
    killed_with_calls_on_disk,
    lost,
    on_disk,
    segments,
)
from tests.waiting import until

pytestmark = [NEEDS_FILE_LOCKS, pytest.mark.usefixtures("nothing_stays")]


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens, for as long as the test takes."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """A collector that accepts, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.usefixtures("soon")
def test_calls_of_a_killed_process_are_sent_by_the_next_one(
    fake_provider: Provider, receiver: Receiver, spool_dir: Path
) -> None:
    app = killed_with_calls_on_disk(receiver, fake_provider, spool_dir, 7)
    inherit(receiver, spool_dir)
    assert sorted(receiver.response_ids) == sorted(app.ids)
    assert lost(receiver) == {}


def test_a_process_that_ends_while_the_collector_is_away_leaves_its_calls_and_loses_none(
    client: openai.OpenAI, receiver: Receiver, spool_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses = [503] * 1000
    outlay.instrument("openai", endpoint=receiver.url)
    ids = [application.ask(client) for _ in range(3)]
    assert not outlay.flush()
    sending = delivery()
    with caplog.at_level(logging.INFO, "outlay.export"):
        outlay.uninstrument()
    assert f"3 calls wait in {spool_dir} for the next process" in caplog.messages
    assert sending.dropped == 0
    receiver.statuses = []
    inherit(receiver, spool_dir)
    assert receiver.response_ids == ids


@pytest.mark.usefixtures("soon")
def test_calls_that_were_never_written_are_counted_in_the_name_of_their_process(
    fake_provider: Provider, receiver: Receiver, spool_dir: Path
) -> None:
    code = f"""
        import os, time
        from pathlib import Path
        import openai, outlay
        from outlay import export
        export.Delivery._keep = lambda delivery, until: None  # however soon its threads look
        outlay.instrument("openai", endpoint={receiver.url!r}, service="shop")
        with openai.OpenAI(api_key="none", base_url={fake_provider.openai!r}) as client:
            for _ in range(4):
                client.chat.completions.create(model="gpt-4.1-mini", messages={application.QUESTION!r})
            stream = client.chat.completions.create(
                model="gpt-4.1-mini", messages={application.QUESTION!r}, stream=True
            )
            next(iter(stream))
            while not any(Path({str(spool_dir)!r}).glob("*.tally")):
                time.sleep(0.01)
            os.kill(os.getpid(), 9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    inherit(receiver, spool_dir)
    assert receiver.response_ids == []
    assert lost(receiver) == {"killed": 4, "killed_under_way": 1}


@pytest.mark.usefixtures("soon")
def test_what_is_torn_or_damaged_on_disk_is_counted_to_the_call_and_the_rest_is_sent(
    fake_provider: Provider, receiver: Receiver, spool_dir: Path
) -> None:
    app = killed_with_calls_on_disk(receiver, fake_provider, spool_dir, 4, 4, 4)
    (segment,) = segments(spool_dir)
    data = bytearray(segment.read_bytes())
    first, _, *_, last = read_records(bytes(data))
    data[first.end - 5] ^= 1
    segment.write_bytes(data[: last.end - 1])
    inherit(receiver, spool_dir)
    missing = first.calls + last.calls
    assert receiver.response_ids == app.ids[first.calls : len(app.ids) - last.calls]
    assert lost(receiver) == {"damaged": missing}


@pytest.mark.usefixtures("soon")
def test_files_of_a_process_that_lives_are_left_alone(
    fake_provider: Provider, receiver: Receiver, spool_dir: Path
) -> None:
    receiver.statuses = [503] * 1000
    app = Application(receiver.url, fake_provider, "wait", 2)
    app.read_until("waiting")
    until(lambda: on_disk(spool_dir) == 2, "its calls on disk")
    here = set(spool_dir.glob("*"))
    with openai.OpenAI(api_key="none", base_url=fake_provider.openai) as client:
        outlay.instrument("openai", endpoint=receiver.url)
        receiver.statuses = []
        own = application.ask(client)
        until(lambda: own in receiver.response_ids, "the other's call")
        outlay.uninstrument()
    assert {path for path in here if path.suffix == ".tally"} <= set(spool_dir.glob("*"))
    assert app.end() == 0
    assert sorted(receiver.response_ids) == sorted([own, *app.ids])
    assert list(spool_dir.glob("*")) == []


@pytest.mark.usefixtures("soon")
def test_calls_kept_under_one_key_are_not_sent_under_another(
    fake_provider: Provider, receiver: Receiver, spool_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTLAY_API_KEY", "outlay_of_acme")
    app = killed_with_calls_on_disk(receiver, fake_provider, spool_dir, 2)
    left = set(spool_dir.glob("*"))
    monkeypatch.setenv("OUTLAY_API_KEY", "outlay_of_globex")
    with openai.OpenAI(api_key="none", base_url=fake_provider.openai) as client:
        outlay.instrument("openai", endpoint=receiver.url)
        own = application.ask(client)
        until(lambda: receiver.spans, "a call of its own")
        outlay.uninstrument()
    assert receiver.response_ids == [own]
    assert set(spool_dir.glob("*")) == left
    monkeypatch.setenv("OUTLAY_API_KEY", "outlay_of_acme")
    inherit(receiver, spool_dir)
    assert sorted(receiver.response_ids) == sorted([own, *app.ids])


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.usefixtures("soon")
def test_calls_whose_key_was_refused_are_sent_under_the_one_that_is_right(
    fake_provider: Provider, receiver: Receiver, spool_dir: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("OUTLAY_API_KEY", "outlay_mistyped")
    receiver.statuses = [status] * 1000
    app = Application(receiver.url, fake_provider, "flush", 2)
    assert app.end() == 0
    assert app.ids.pop() == "flushed False"
    receiver.statuses = []
    monkeypatch.setenv("OUTLAY_API_KEY", "outlay_right")
    inherit(receiver, spool_dir)
    assert receiver.response_ids == app.ids


def test_calls_that_waited_for_too_long_are_counted_and_not_sent(
    client: openai.OpenAI, receiver: Receiver, spool_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.statuses = [503] * 1000
    outlay.instrument("openai", endpoint=receiver.url)
    long_ago = time.time_ns() - 7 * 24 * 3600 * 10**9
    with monkeypatch.context() as patch:
        patch.setattr("outlay.export.time.time_ns", lambda: long_ago)
        application.ask(client)
        assert not outlay.flush()
    outlay.uninstrument()
    receiver.statuses = []
    inherit(receiver, spool_dir)
    assert receiver.response_ids == []
    assert lost(receiver) == {"too_old": 1}


def test_a_full_spool_keeps_what_it_has_and_what_comes_then_is_counted(
    client: openai.OpenAI, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OUTLAY_SPOOL_MAX_BYTES", "40000")  # the numbers take 5.5 kB, a call about 1.2 kB
    monkeypatch.setenv("OUTLAY_QUEUE_CALLS", "3")
    monkeypatch.setenv("OUTLAY_EXPORT_INTERVAL_S", "60")
    receiver.statuses = [503] * 200
    outlay.instrument("openai", endpoint=receiver.url)
    ids, taken = [], 0
    while delivery().dropped == 0:
        ids.append(application.ask(client))
        assert not outlay.flush()
        taken += 1
        assert taken < 100
    receiver.statuses = []
    assert outlay.flush()
    outlay.uninstrument()
    assert receiver.response_ids == ids[:-1]
    assert lost(receiver) == {"queue_full": 1}
    said = [message for message in caplog.messages if "the spool holds the 40,000 bytes it may" in message]
    assert len(said) == 1


@pytest.mark.usefixtures("soon")
def test_nobody_waits_for_a_collector_that_accepts_and_says_nothing(
    client: openai.OpenAI, silent: str, receiver: Receiver, spool_dir: Path, fake_provider: Provider
) -> None:
    outlay.instrument("openai", endpoint=silent)
    ids = [application.ask(client) for _ in range(5)]
    until(lambda: on_disk(spool_dir) == 5, "calls on disk while the collector holds its answer")
    ids += [application.ask(client) for _ in range(5)]
    until(lambda: on_disk(spool_dir) == 10, "the calls after them")
    assert not outlay.flush(timeout_s=0.05)
    assert [entry.response_id for entry in fake_provider.log.entries] == ids


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("act", ["calls", "losses"])
def test_what_is_answered_after_outlay_was_taken_out_writes_into_no_file_of_the_applications(
    fake_provider: Provider, receiver: Receiver, spool_dir: Path, tmp_path: Path, act: str
) -> None:
    """An answer to what a dead process has left comes when its files are let go of: their numbers may be others' by
    then."""
    app = killed_with_calls_on_disk(receiver, fake_provider, spool_dir, 3)
    if act == "losses":
        (segment,) = segments(spool_dir)
        segment.write_bytes(b"")
    left = {path: path.read_bytes() for path in spool_dir.glob("*")}
    asked, answer = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        answer.wait(60)

    receiver.meanwhile = hold
    outlay.instrument("openai", endpoint=receiver.url)
    sender = delivery()._sender._thread
    assert sender is not None
    assert asked.wait(60)
    outlay.uninstrument()
    with ExitStack() as files:
        own = [files.enter_context((tmp_path / f"{number}.txt").open("w+b")) for number in range(20)]
        answer.set()
        sender.join(60)
        assert not sender.is_alive()
        assert [os.fstat(file.fileno()).st_size for file in own] == [0] * len(own)
    assert {path: path.read_bytes() for path in spool_dir.glob("*")} == left
    inherit(receiver, spool_dir)
    assert set(receiver.response_ids) == (set(app.ids) if act == "calls" else set())


def test_a_child_lets_go_of_its_parents_numbers_whatever_still_holds_on_to_them(tmp_path: Path) -> None:
    """A mapping keeps a file open and its lock held; in a child the frames of threads that are not there hold it."""
    tally = Tally("shop", None, 10)
    with (tmp_path / "numbers").open("w+b") as file:
        file.truncate(tally.size)
        mapped = mmap.mmap(file.fileno(), tally.size)
    tally.move_to(mapped)
    tally.leave_to_parent()
    assert mapped.closed
    tally.lose(Loss.UNSENT, tally.begin())
    assert tally.losses() == {Loss.UNSENT: 1}
