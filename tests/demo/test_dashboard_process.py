"""The dashboard as a child: it is started again when it falls, and gone when it is stopped."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from outlay_collector.dashboard_process import DashboardFailed, DashboardProcess

from tests.waiting import own_port, until


@pytest.fixture
def port() -> Iterator[int]:
    """Nobody else's until the dashboard listens there, which takes seconds."""
    with own_port() as port:
        yield port


@pytest.mark.usefixtures("dead_proxy")
def test_a_dashboard_that_falls_is_started_again_and_stopping_ends_it(port: int) -> None:
    """Whether it answers is asked of itself, and not of a proxy."""
    dashboard = DashboardProcess("http://127.0.0.1:9", port=port)
    dashboard.start()
    try:
        first = dashboard.pid
        assert first is not None
        assert not dashboard.revive()
        os.kill(first, signal.SIGKILL)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        assert dashboard.revive()
        assert dashboard.wait(threading.Event())
        assert dashboard.pid != first
    finally:
        dashboard.stop()
    assert dashboard.pid is None


def test_one_that_ends_before_it_answers_says_so() -> None:
    dashboard = DashboardProcess("http://127.0.0.1:9")
    dashboard.start()
    dashboard.stop()
    with pytest.raises(DashboardFailed, match="the collector goes on without it"):
        dashboard.wait(threading.Event())


def test_the_key_it_reads_with_is_in_its_environment_and_not_in_its_arguments() -> None:
    dashboard = DashboardProcess("http://127.0.0.1:9", api_key="own-secret")
    dashboard.start()
    try:
        process = Path(f"/proc/{dashboard.pid}")
        if not process.is_dir():
            pytest.skip("this system does not show processes under /proc")
        environment = until((process / "environ").read_bytes, "the new program")  # which is there a moment after start
        assert b"OUTLAY_API_KEY=own-secret" in environment.split(b"\0")
        assert b"own-secret" not in (process / "cmdline").read_bytes()
    finally:
        dashboard.stop()


def test_a_dashboard_does_not_outlive_a_collector_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    with open_process(child) as ended:
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert ended(60.0)


PARENT = """
import time
from outlay_collector.dashboard_process import DashboardProcess
dashboard = DashboardProcess("http://127.0.0.1:9")
dashboard.start()
print(dashboard.pid, flush=True)
time.sleep(60)
"""


@contextmanager
def open_process(pid: int) -> Iterator[Callable[[float], bool]]:
    """Says whether a process that is nobody's child here ends within some seconds."""
    if not hasattr(os, "pidfd_open"):
        pytest.skip("this system cannot wait for a process that is not a child")
    handle = os.pidfd_open(pid)
    try:
        yield lambda seconds: bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)
