"""The disk spool: what a process that ends badly leaves behind, who sends it, and what is counted where nobody can."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import openai
import outlay
import pytest
from hypothesis import given
from hypothesis import strategies as st
from outlay import installation, spool
from outlay.export import Delivery
from outlay.framing import frame, read_records
from outlay.tally import Loss

from tests.conftest import Provider
from tests.instrumentation import application
from tests.instrumentation.doubles import Receiver

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the spool needs the file locks of POSIX")


class Application:
    """A process that makes calls: `ids` are those of the answers it has had."""

    def __init__(self, collector: str, provider: Provider, act: str, count: int = 1) -> None:
        command = [sys.executable, application.__file__, collector, provider.openai, act, str(count)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ids: list[str] = []
        _started.append(self._process)

    @property
    def _output(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def read_until(self, said: str) -> None:
        for line in self._output:
            if line.strip() == said:
                return
            self.ids.append(line.strip())
        pytest.fail(f"the application ended before it said {said!r}")

    def call(self, count: int) -> None:
        """Make so many calls more, where it waits."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        self.read_until("waiting")

    def end(self, number: signal.Signals | None = None) -> int:
        """Its exit status, as `subprocess` has it, once all it said was read."""
        assert self._process.stdin is not None
        if number is not None:
            self._process.send_signal(number)
        self._process.stdin.close()
        with self._process:
            self.ids += [line.strip() for line in self._output]
        return self._process.returncode


_started: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    """A test that fails ends its processes and takes Outlay out all the same."""
    yield
    outlay.uninstrument()
    while _started:
        process = _started.pop()
        if process.poll() is None:
            process.kill()
            process.communicate()


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


@pytest.fixture
def client(fake_provider: Provider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="none", base_url=fake_provider.openai) as client:
        yield client


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything within a hundredth of a second."""
    monkeypatch.setenv("OUTLAY_EXPORT_INTERVAL_S", "0.01")


def delivery() -> Delivery:
    running = installation.runtime()
    assert running is not None
    return running.delivery


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def response_ids(receiver: Receiver) -> list[str]:
    return [span.attributes["gen_ai.response.id"] for span in receiver.spans]


def segments(spool_dir: Path) -> list[Path]:
    return sorted(spool_dir.glob("*.calls"))


def on_disk(spool_dir: Path) -> int:
    return sum(record.calls for path in segments(spool_dir) for record in read_records(path.read_bytes()))


def inherit(receiver: Receiver, spool_dir: Path) -> None:
    """Another process starts, and all that others have left is gone."""
    left = list(spool_dir.glob("*"))
    outlay.instrument("openai", endpoint=receiver.url)
    until(lambda: not any(path.exists() for path in left), "files of the dead are still there")
    outlay.uninstrument()
    assert list(spool_dir.glob("*")) == []


def lost(receiver: Receiver) -> dict[str, int]:
    """By reason, over all processes."""
    found: dict[str, int] = {}
    for (_, reason), calls in receiver.losses.items():
        found[reason] = found.get(reason, 0) + calls
    return found


def killed_with_calls_on_disk(receiver: Receiver, provider: Provider, spool_dir: Path, *calls: int) -> Application:
    """An application that was killed after so many calls and so many more, all of them on disk and none with the
    collector. What one number says was there before the next calls were made: no record holds calls of both."""
    receiver.statuses = [503] * 1000
    app = Application(receiver.url, provider, "wait", 0)
    app.read_until("waiting")
    for count in calls:
        app.call(count)
        until(lambda: on_disk(spool_dir) == len(app.ids), "its calls on disk")
    assert app.end(signal.SIGKILL) == -signal.SIGKILL
    receiver.statuses, receiver.spans = [], []
    return app


@pytest.mark.usefixtures("soon")
def test_calls_of_a_killed_process_are_sent_by_the_next_one(
    fake_provider: Provider, receiver: Receiver, spool_dir: Path
) -> None:
    app = killed_with_calls_on_disk(receiver, fake_provider, spool_dir, 7)
    inherit(receiver, spool_dir)
    assert sorted(response_ids(receiver)) == sorted(app.ids)
    assert lost(receiver) == {}


def test_a_process_that_ends_while_the_collector_is_away_leaves_its_calls_and_loses_none(
    client: openai.OpenAI, receiver: Receiver, spool_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses = [503] * 5
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
    assert response_ids(receiver) == ids


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
    assert response_ids(receiver) == []
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
    assert response_ids(receiver) == app.ids[first.calls : len(app.ids) - last.calls]
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
        until(lambda: own in response_ids(receiver), "the other's call")
        outlay.uninstrument()
    assert {path for path in here if path.suffix == ".tally"} <= set(spool_dir.glob("*"))
    assert app.end() == 0
    assert sorted(response_ids(receiver)) == sorted([own, *app.ids])
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
    assert response_ids(receiver) == [own]
    assert set(spool_dir.glob("*")) == left
    monkeypatch.setenv("OUTLAY_API_KEY", "outlay_of_acme")
    inherit(receiver, spool_dir)
    assert sorted(response_ids(receiver)) == sorted([own, *app.ids])


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
    assert response_ids(receiver) == app.ids


def test_calls_that_waited_for_too_long_are_counted_and_not_sent(
    client: openai.OpenAI, receiver: Receiver, spool_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.statuses = [503] * 3
    outlay.instrument("openai", endpoint=receiver.url)
    long_ago = time.time_ns() - 7 * 24 * 3600 * 10**9
    with monkeypatch.context() as patch:
        patch.setattr("outlay.export.time.time_ns", lambda: long_ago)
        application.ask(client)
        assert not outlay.flush()
    outlay.uninstrument()
    receiver.statuses = []
    inherit(receiver, spool_dir)
    assert response_ids(receiver) == []
    assert lost(receiver) == {"too_old": 1}


def test_a_full_spool_keeps_what_it_has_and_what_comes_then_is_counted(
    client: openai.OpenAI, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OUTLAY_SPOOL_MAX_BYTES", "40000")  # the numbers take 5.5 kB, a call about 1.2 kB
    monkeypatch.setenv("OUTLAY_QUEUE_CALLS", "3")
    monkeypatch.setenv("OUTLAY_EXPORT_INTERVAL_S", "60")
    receiver.statuses = [503] * 200
    outlay.instrument("openai", endpoint=receiver.url)
    monkeypatch.setattr(delivery(), "_keep_round", lambda: None)
    ids, taken = [], 0
    while delivery().dropped == 0:
        ids.append(application.ask(client))
        assert not outlay.flush(timeout_s=5)
        taken += 1
        assert taken < 100
    receiver.statuses = []
    assert outlay.flush()
    outlay.uninstrument()
    assert response_ids(receiver) == ids[:-1]
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


@pytest.fixture
def unusable(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A spool folder that cannot be written to: full (a real file system without room), read-only, or below a file."""
    if request.param == "below a file":
        (tmp_path / "file").write_text("")
        yield tmp_path / "file" / "spool"
        return
    disk = tmp_path / "disk"
    disk.mkdir()
    options = {"full": "size=4k", "read-only": "size=64k,ro"}[request.param]
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("file systems cannot be mounted here")
    yield disk / "spool"
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("unusable", ["full", "read-only", "below a file"], indirect=True)
@pytest.mark.usefixtures("soon")
def test_a_disk_that_cannot_be_written_changes_nothing_but_a_warning(
    unusable: Path, client: openai.OpenAI, receiver: Receiver, fake_provider: Provider,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setenv("OUTLAY_SPOOL_DIR", str(unusable))
    receiver.statuses = [503] * 3
    outlay.instrument("openai", endpoint=receiver.url)
    ids = [application.ask(client) for _ in range(4)]
    assert [entry.response_id for entry in fake_provider.log.entries] == ids
    receiver.statuses = []
    assert outlay.flush()
    ids += [application.ask(client) for _ in range(2)]
    assert outlay.flush()
    assert delivery().dropped == 0
    outlay.uninstrument()
    assert response_ids(receiver) == ids
    warnings = [record for record in caplog.records if record.name == "outlay.spool"]
    assert [record.levelname for record in warnings] == ["WARNING"]
    assert f"nothing can be written to {unusable}" in warnings[0].message
    assert "OUTLAY_SPOOL_DIR" in warnings[0].message


def test_a_disk_that_fills_up_on_the_way_keeps_what_fits_and_is_used_again_once_there_is_room(
    client: openai.OpenAI, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        monkeypatch.setenv("OUTLAY_SPOOL_DIR", str(disk))
        monkeypatch.setenv("OUTLAY_EXPORT_INTERVAL_S", "60")
        receiver.statuses = [503] * 1000
        outlay.instrument("openai", endpoint=receiver.url)
        ids = [application.ask(client)]
        assert not outlay.flush()
        kept = on_disk(disk)
        assert kept == 1
        (disk / "other").write_bytes(bytes(os.statvfs(disk).f_bavail * 4096))
        for _ in range(4):
            ids.append(application.ask(client))
            assert not outlay.flush()
        assert on_disk(disk) < 5
        (disk / "other").unlink()
        monkeypatch.setattr(delivery()._spool, "_try_at", 0.0)
        ids.append(application.ask(client))
        assert not outlay.flush()
        assert delivery().dropped == 0
        receiver.statuses = []
        assert outlay.flush()
        outlay.uninstrument()
    finally:
        subprocess.run(["umount", disk], check=True)
    assert response_ids(receiver) == ids


@pytest.mark.usefixtures("soon")
def test_on_a_file_system_that_cannot_be_mapped_the_numbers_are_written_beside_the_calls(
    fake_provider: Provider, receiver: Receiver, spool_dir: Path
) -> None:
    receiver.statuses = [503] * 1000
    code = f"""
        import os, openai, outlay
        from outlay import spool
        spool._is_mappable = lambda folder: False
        outlay.instrument("openai", endpoint={receiver.url!r})
        with openai.OpenAI(api_key="none", base_url={fake_provider.openai!r}) as client:
            for _ in range(3):
                print(client.chat.completions.create(model="gpt-4.1-mini", messages={application.QUESTION!r}).id)
                outlay.flush()
        os.sys.stdout.flush()
        os.kill(os.getpid(), 9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    receiver.statuses = []
    inherit(receiver, spool_dir)
    assert response_ids(receiver) == done.stdout.split()
    assert lost(receiver) == {}


def test_where_there_are_no_file_locks_calls_wait_in_memory_and_that_is_said(
    client: openai.OpenAI, receiver: Receiver, spool_dir: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(spool, "_locks", None)
    with caplog.at_level(logging.INFO, "outlay.spool"):
        outlay.instrument("openai", endpoint=receiver.url)
    ids = [application.ask(client)]
    assert outlay.flush()
    outlay.uninstrument()
    assert response_ids(receiver) == ids
    assert not spool_dir.exists()
    assert [m for m in caplog.messages if "file locks" in m] == [
        "calls wait in memory only: this system has no file locks, which a spool needs"
    ]


def test_only_its_user_may_read_what_lies_on_disk(client: openai.OpenAI, receiver: Receiver, spool_dir: Path) -> None:
    receiver.statuses = [503]
    outlay.instrument("openai", endpoint=receiver.url)
    application.ask(client)
    assert not outlay.flush()
    assert spool_dir.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in spool_dir.iterdir()} == {0o600}
    outlay.uninstrument()


batches = st.lists(st.tuples(st.binary(max_size=40), st.lists(st.integers(0, 2**32 - 1), max_size=4)), max_size=6)


@given(batches, st.integers(0, 400))
def test_of_a_file_that_was_cut_anywhere_exactly_the_whole_records_are_read(
    written: list[tuple[bytes, list[int]]], cut: int
) -> None:
    data, ends = b"", []
    for number, (body, slots) in enumerate(written):
        data += frame(body, slots, number, 1)
        ends.append(len(data))
    found = [(record.body, list(record.slots)) for record in read_records(data[:cut])]
    assert found == written[: sum(end <= cut for end in ends)]


@given(batches, st.integers(0, 10**6), st.integers(1, 255))
def test_a_flipped_byte_costs_the_record_it_is_in_and_no_other(
    written: list[tuple[bytes, list[int]]], at: int, flip: int
) -> None:
    frames = [frame(body, slots, number, 1) for number, (body, slots) in enumerate(written)]
    data = bytearray(b"".join(frames))
    if not data:
        return
    at %= len(data)
    data[at] ^= flip
    hit = next(n for n in range(len(frames)) if at < len(b"".join(frames[: n + 1])))
    found = [record.first for record in read_records(bytes(data))]
    assert found == [n for n in range(len(frames)) if n != hit]


def test_every_loss_is_named_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "delivery.md").read_text()
    assert [why for why in Loss if f"`{why}`" not in page] == []
