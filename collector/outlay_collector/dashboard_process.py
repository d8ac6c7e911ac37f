"""The dashboard as a child process: started, waited for, restarted when it falls, ended by its pid."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from typing import IO, Final

import httpx2
from outlay.errors import OutlayError

from outlay_collector.serving import LOOPBACK, listen

START_TIMEOUT_S: Final = 90.0
STOP_TIMEOUT_S: Final = 5.0
RESTARTS: Final = 3
_POLL_S: Final = 0.2


class DashboardFailed(OutlayError):
    """The dashboard ended, or never answered. The collector is not affected."""


def is_installed() -> bool:
    return find_spec("outlay_dashboard") is not None


class DashboardProcess:
    """One dashboard on loopback, over the collector at `api_url`. Port 0 takes a free one. Raises `PortInUse`."""

    def __init__(self, api_url: str, *, port: int = 0, api_key: str | None = None) -> None:
        with listen(LOOPBACK, port) as probe:
            free: int = probe.getsockname()[1]
        self.url = f"http://{LOOPBACK}:{free}"
        where = ["--host", LOOPBACK, "--port", str(free), "--api", api_url, "--until-stdin-closes"]
        self._command = [sys.executable, "-m", "outlay_dashboard", *where]
        # In the environment, never in an argument: `ps` shows those to everyone.
        self._environment = None if api_key is None else {**os.environ, "OUTLAY_API_KEY": api_key}
        self._restarts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: IO[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process that runs now, None where none does."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def start(self) -> None:
        """Starts the process; it answers seconds later. Its own session keeps the Ctrl-C of a terminal from it.

        It ends when the pipe that is its stdin does, which this process holds and nobody else: however this one ends,
        killed too, the dashboard does not outlive it.
        """
        self._close_pipe()
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._pipe = self._process.stdin

    def answers(self) -> bool:
        """Whether it answers now. Raises `DashboardFailed` once it has ended."""
        self._check()
        try:
            return httpx2.get(f"{self.url}/_stcore/health", timeout=2, trust_env=False).is_success
        except httpx2.TransportError:
            return False

    def wait(self, stopped: threading.Event) -> bool:
        """Whether it answers before `stopped` is set. Raises `DashboardFailed` where it ended, or took too long."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.answers():
            if stopped.wait(_POLL_S):
                return False
            if time.monotonic() > deadline:
                raise DashboardFailed(f"the dashboard did not answer at {self.url} within {START_TIMEOUT_S:.0f} s")
        return True

    def revive(self) -> bool:
        """Starts it again where it has ended; says whether it had. Raises `DashboardFailed` after the third time."""
        if self._process is None or self._process.poll() is None:
            return False
        if self._restarts == RESTARTS:
            self._check()
        self._restarts += 1
        self.start()
        return True

    def _check(self) -> None:
        if self._process is not None and (status := self._process.poll()) is not None:
            self._process = None
            raise DashboardFailed(f"the dashboard ended with status {status}; the collector goes on without it")

    def stop(self) -> None:
        """Ends the process, in five seconds by force. Does nothing where it has ended."""
        if self._process is not None and self.pid is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._close_pipe()

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
