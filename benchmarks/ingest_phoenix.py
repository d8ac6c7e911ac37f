"""Arize Phoenix as a peer of `ingest`: its own server in an environment of its own, on SQLite, on one core.

It answers before it stores: a span counts once its database has it. Costs it knows none of for spans that tell them in
other words than its own; what it keeps is the span.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from socket import socket
from typing import Final

import httpx2
from processes import Run, cpu_of, rss, send, send_at_once, settle, size_of

INSTALLS: Final = ("arize-phoenix",)
_START_S: Final = 300
_STORE_S: Final = 1_800


def phoenix(python: str, bodies: Sequence[bytes], spans: int, folder: Path, senders: int, core: int) -> Run:
    """The first body is sent, and waited for, before the clocks are looked at. Raises TimeoutError where it does not
    come to have stored what it took."""
    database = folder / "phoenix.db"
    with _serving(python, folder, core) as (pid, url):
        send(url, bodies[:1])
        first = _wait_for(database, 1, idle=pid)
        before, began, size = cpu_of(pid), time.perf_counter(), size_of(folder, "phoenix.db*")
        send_at_once(url, bodies[1:], senders)
        answered = time.perf_counter() - began
        _wait_for(database, first + spans)
        seconds, used, most = time.perf_counter() - began, cpu_of(pid) - before, rss(pid)
    return Run(spans, used, seconds, answered, rss=most, size=size_of(folder, "phoenix.db*") - size)


@contextmanager
def _serving(python: str, folder: Path, core: int) -> Iterator[tuple[int, str]]:
    port, grpc_port = _free_port(), _free_port()
    environment: Mapping[str, str] = {
        **os.environ,
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc_port),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    command = ["taskset", "-c", str(core), str(Path(python).with_name("phoenix")), "serve"]
    with (folder / "phoenix.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_it_answers(url, process)
            settle(process.pid)
            yield process.pid, url
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            httpx2.get(f"{url}/healthz", timeout=5).raise_for_status()
        except httpx2.HTTPError:
            time.sleep(0.5)
        else:
            return
    raise TimeoutError(f"phoenix did not answer within {_START_S} s")


def _wait_for(database: Path, spans: int, idle: int | None = None) -> int:
    """How many spans are stored, once there are that many; with `idle`, once that process has nothing more to do."""
    until = time.monotonic() + _STORE_S
    while (stored := _stored(database)) < spans:
        if time.monotonic() > until:
            raise TimeoutError(f"phoenix has {stored} of {spans} spans after {_STORE_S} s")
        time.sleep(0.1)
    if idle is None:
        return stored
    settle(idle)
    return _stored(database)


def _stored(database: Path) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM spans").fetchone()
    return int(count)


def _free_port() -> int:
    with socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
    return port
