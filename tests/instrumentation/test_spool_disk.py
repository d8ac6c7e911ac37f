"""Disks that are full, read-only or damaged: nothing changes for the application, and what is lost is known."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import outlay
import pytest
from hypothesis import given
from hypothesis import strategies as st
from outlay import spool
from outlay.framing import frame, read_records
from outlay.tally import Loss

from tests.conftest import Provider
from tests.instrumentation import application
from tests.instrumentation.doubles import Receiver
from tests.instrumentation.spooling import (
    NEEDS_FILE_LOCKS,
    delivery,
    inherit,
    killed_with_calls_on_disk,
    lost,
    on_disk,
    segments,
)
from tests.waiting import until

pytestmark = [NEEDS_FILE_LOCKS, pytest.mark.usefixtures("nothing_stays")]


@contextmanager
def mounted(disk: Path, options: str) -> Iterator[Path]:
    """A file system in memory, for as long as it is used. Skips the test where none can be mounted."""
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.fixture
def unusable(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A spool folder that cannot be written to: full (a real file system without room), read-only, or below a file."""
    if request.param == "below a file":
        (tmp_path / "file").write_text("")
        yield tmp_path / "file" / "spool"
        return
    with mounted(tmp_path / "disk", {"full": "size=4k", "read-only": "size=64k,ro"}[request.param]) as disk:
        yield disk / "spool"


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
    assert receiver.response_ids == ids
    warnings = [record for record in caplog.records if record.name == "outlay.spool"]
    assert [record.levelname for record in warnings] == ["WARNING"]
    assert f"nothing can be written to {unusable}" in warnings[0].message
    assert "OUTLAY_SPOOL_DIR" in warnings[0].message


def test_a_disk_that_fills_up_on_the_way_keeps_what_fits_and_is_used_again_once_there_is_room(
    client: openai.OpenAI, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(tmp_path / "disk", "size=96k") as disk:
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
    assert receiver.response_ids == ids


def test_on_a_file_system_that_cannot_be_mapped_the_numbers_are_written_beside_the_calls(
    fake_provider: Provider, receiver: Receiver, spool_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTLAY_EXPORT_INTERVAL_S", "60")  # nothing is under way when it is killed
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
    assert receiver.response_ids == done.stdout.split()
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
    assert receiver.response_ids == ids
    assert not spool_dir.exists()
    assert [m for m in caplog.messages if "file locks" in m] == [
        "calls wait in memory only: this system has no file locks, which a spool needs"
    ]


def test_only_its_user_may_read_what_lies_on_disk(client: openai.OpenAI, receiver: Receiver, spool_dir: Path) -> None:
    receiver.statuses = [503] * 1000
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


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("status", [302, 403, 404])
def test_losses_of_the_dead_that_reached_nobody_are_left_for_the_next(
    fake_provider: Provider, receiver: Receiver, spool_dir: Path, status: int
) -> None:
    killed_with_calls_on_disk(receiver, fake_provider, spool_dir, 3)
    (segment,) = segments(spool_dir)
    segment.unlink()
    receiver.statuses_of_metrics = [status]
    outlay.instrument("openai", endpoint=receiver.url)
    until(lambda: not receiver.statuses_of_metrics, "its losses told to nobody")
    outlay.uninstrument()
    inherit(receiver, spool_dir)
    assert lost(receiver) == {"damaged": 3}
