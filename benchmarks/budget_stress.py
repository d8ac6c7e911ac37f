"""Many processes against one hard budget, through the real SDK, a provider over HTTP and a collector of its own.

    python benchmarks/budget_stress.py [--processes 4] [--threads 8] [--usd 1.00] [--db postgresql://...]

Three scenarios: undisturbed; the collector killed in the middle and started again; a worker killed in the middle. The
provider's own log of what it sent, priced by hand here, is the truth; the limit must not be passed by a nano-dollar,
and at least 95% of it must be used. Exit status 1 where it is not so.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from outlay_collector.demo.provider import FakeProvider, UsageLog
from outlay_collector.serving import Server

INPUT, CACHED, OUTPUT = 2_500, 1_250, 10_000  # gpt-4o, nano-dollars a token
GIVE_UP_S, LONGEST_S = 6.0, 120.0
LEAST_USED = 0.95


@dataclass(frozen=True, slots=True)
class Outcome:
    scenario: str
    calls: int
    refusals: int
    spent_nano: int
    counted_nano: int
    seconds: float


def work(provider: str, collector: str, threads: int, seed: int) -> None:
    """A worker: every thread calls until it has been refused for some seconds without a break."""
    import openai
    import outlay

    os.environ["OUTLAY_BUDGETS_REQUIRED"] = "on"
    outlay.instrument("openai", endpoint=collector, service=f"worker-{seed}")
    client = openai.OpenAI(base_url=f"{provider}/openai/v1", api_key="sk-test", max_retries=0)
    refusals = [0] * threads

    def call(index: int) -> None:
        draw, began, last = random.Random(seed * 1_000 + index), time.monotonic(), time.monotonic()
        while time.monotonic() - last < GIVE_UP_S and time.monotonic() - began < LONGEST_S:
            words = "word " * draw.randint(1, 200)
            try:
                client.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": words}], max_tokens=draw.randint(300, 800)
                )
                last = time.monotonic()
            except outlay.BudgetExceeded as error:
                refusals[index] += 1
                if error.spent_usd is None:  # nobody could be asked: that is no verdict
                    last = time.monotonic()
                time.sleep(0.05)

    running = [threading.Thread(target=call, args=(index,)) for index in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    outlay.uninstrument()
    print(sum(refusals))


class Collector:
    """`outlay up`, which can be killed and started again at the same address."""

    def __init__(self, db: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [
            str(Path(sys.executable).with_name("outlay")), "up", "--no-dashboard", "--db", db, "--port", str(self.port),
        ]  # fmt: skip
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

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
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


def run(scenario: str, arguments: argparse.Namespace, disturb: Callable[[Collector, list[Any]], None]) -> Outcome:
    log = UsageLog()
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(FakeProvider(seed=1, log=log).app, log_level="critical") as provider,
    ):
        collector = Collector(arguments.db or f"sqlite:///{folder}/outlay.db", Path(folder))
        collector.start()
        budget = {"limit": {"usd": arguments.usd}, "when_unreachable": "closed", "match": {"provider": "openai"}}
        httpx2.put(f"{collector.url}/api/v1/budgets/bot", json=budget).raise_for_status()
        began = time.monotonic()
        command = [sys.executable, __file__, "--worker", provider.url, collector.url, str(arguments.threads)]
        workers = [
            subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE, text=True)
            for seed in range(arguments.processes)
        ]
        while cost_nano(log) < float(arguments.usd) * 10**9 * 0.4 and time.monotonic() - began < LONGEST_S:
            time.sleep(0.02)
        disturb(collector, workers)
        outputs = [worker.communicate()[0] for worker in workers]
        seconds = time.monotonic() - began
        refusals = sum(int(output or 0) for output in outputs)
        counted = collector.counted_nano()
        collector.kill()
    return Outcome(scenario, len(log.entries), refusals, cost_nano(log), counted, seconds)


def kill_collector(collector: Collector, _workers: list[Any]) -> None:
    collector.kill()
    time.sleep(2)
    collector.start()


def kill_worker(_collector: Collector, workers: list[Any]) -> None:
    workers[0].send_signal(signal.SIGKILL)


SCENARIOS: dict[str, Callable[[Collector, list[Any]], None]] = {
    "undisturbed": lambda _collector, _workers: None,
    "collector killed": kill_collector,
    "worker killed": kill_worker,
}


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        work(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--usd", default="1.00")
    parser.add_argument("--db")
    parser.add_argument("--only", choices=SCENARIOS)
    arguments = parser.parse_args()
    limit, failed = float(arguments.usd) * 10**9, False
    for scenario, disturb in SCENARIOS.items():
        if arguments.only in (None, scenario):
            done = run(scenario, arguments, disturb)
            used = done.spent_nano / limit
            failed |= done.spent_nano > limit or used < LEAST_USED
            print(
                f"{scenario:17} {done.calls:5} calls, {done.refusals:5} refused, {done.seconds:5.1f} s: "
                f"the provider sent ${done.spent_nano / 1e9:.6f} of ${arguments.usd} ({used:.1%}), "
                f"counted ${done.counted_nano / 1e9:.6f}",
                flush=True,
            )
    sys.exit(failed)


if __name__ == "__main__":
    main()
