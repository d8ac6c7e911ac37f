"""How many calls a second the collector takes, durable and queryable, beside the least that the work can cost.

Each contender is held to one core; they take turns. What is compared is the CPU time a span takes, and the spans a
second. What each does:

- `floor`: parses, walks every attribute, inserts the call's row and keeps an hour's sums, in one process without a
  server. `same rows`: the floor that also prices what comes without a cost and keeps each span's identity, which is
  what the collector's database holds in the end (`ingest_floor`).
- `collector`: the real `outlay up` with its defaults, asked over HTTP by as many senders as an application has. It
  answers once a call is committed, and a call counts once a query has found it. What it costs to sum calls up, which
  the collector does beside and later, is measured after that and said apart, as the sums are exact without it: beside
  the floors as they are, and beside floors whose calls are summed up by the same code.
- `phoenix`, with `--peers`: arize-phoenix in an environment of its own, given fewer of the same bodies over HTTP. It
  answers before it stores: `spans/s` is until its database has them all.

All of them twice: with Outlay's own spans, which come priced and whole, and with the same calls in the words of the
GenAI conventions alone, which are a third as long and are priced by the collector.

    python benchmarks/ingest.py [--spans 20480] [--batch 512] [--senders 4] [--rounds 3] [--peers [--peer-spans 2048]]
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import httpx2
from ingest_floor import HOUR_NS, floor
from ingest_phoenix import INSTALLS, phoenix
from outlay.model import Call
from peers import installed
from processes import Run, cpu_of, rss, send, send_at_once, settle, size_of
from summing_up import sum_up
from traffic import body_of, calls, conventional_body_of

KINDS: Final = (("Outlay's own spans", body_of), ("spans of the conventions", conventional_body_of))


def collector(bodies: Sequence[bytes], spans: int, folder: Path, senders: int, core: int) -> Run:
    """The same bodies sent to `outlay up`. The first is sent before the clocks are looked at: a collector reads its
    price book once."""
    outlay = Path(sys.executable).with_name("outlay")
    command = [str(outlay), "up", "--no-dashboard", "--db", f"sqlite:///{folder}/outlay.db", "--port", "0"]
    command += ["--grpc-port", "off"]
    process = subprocess.Popen(["taskset", "-c", str(core), *command], cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = next(line.split()[1] for line in process.stdout if line.startswith("Collector"))
        send(url, bodies[:1])
        settle(process.pid)
        first = _calls_there(url)
        before, began = cpu_of(process.pid), time.perf_counter()
        send_at_once(url, bodies[1:], senders)
        seconds = time.perf_counter() - began
        used = cpu_of(process.pid) - before
        stored = _calls_there(url) - first
        assert stored == spans, f"{stored} of {spans} calls are there"
        most = rss(process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    counted = spans / (first + spans)
    summing = sum_up(f"sqlite:///{folder}/outlay.db") * counted
    return Run(spans, used, seconds, seconds, summing, most, int(size_of(folder, "outlay.db*") * counted))


def _calls_there(url: str) -> int:
    window = {"from": "2020-01-01T00:00:00Z", "to": "2040-01-01T00:00:00Z"}
    (row,) = httpx2.get(f"{url}/api/v1/usage", params=window).json()["rows"]
    return int(row["calls"])


def bodies_of(spans: int, batch: int, encode: Callable[[Sequence[tuple[int, Call]]], bytes]) -> list[bytes]:
    now = time.time_ns()
    numbered = list(zip(count(), calls(spans, now - 24 * HOUR_NS, now), strict=False))
    return [encode(numbered[n : n + batch]) for n in range(0, spans, batch)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("--spans", 20_480), ("--batch", 512), ("--senders", 4), ("--rounds", 3)):
        parser.add_argument(name, type=int, default=value)
    parser.add_argument("--peers", action="store_true", help="install arize-phoenix and measure it too")
    parser.add_argument("--peer-spans", type=int, default=2_048)
    options = parser.parse_args()
    with _peer(options) as python:
        for kind, encode in KINDS:
            bodies = bodies_of(options.spans + options.batch, options.batch, encode)
            size = sum(map(len, bodies[1:])) // options.spans
            print(f"\n{kind}: {options.spans} of {size} bytes, {options.batch} a request", flush=True)
            report(turns(bodies, options, python))


@contextmanager
def _peer(options: argparse.Namespace) -> Iterator[str | None]:
    """The Python of phoenix's environment; None where it is not asked for."""
    if not options.peers:
        yield None
        return
    with installed(*INSTALLS) as python:
        yield python


def turns(bodies: Sequence[bytes], options: argparse.Namespace, python: str | None) -> dict[str, list[Run]]:
    """What each contender used, a run for each round; the peer has one turn."""
    spans, core, senders = options.spans, max(os.sched_getaffinity(0)), options.senders
    runs: dict[str, list[Run]] = {"floor": [], "same rows": [], "collector": []}
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            runs["floor"].append(floor(bodies[1:], spans, folder, core, same_rows=False))
            runs["same rows"].append(floor(bodies[1:], spans, folder, core, same_rows=True))
            runs["collector"].append(collector(bodies, spans, folder, senders, core))
    if python is not None:
        few = 1 + options.peer_spans // options.batch
        with tempfile.TemporaryDirectory() as name:
            given = (few - 1) * options.batch
            runs["phoenix"] = [phoenix(python, bodies[:few], given, Path(name), senders, core)]
    return runs


def report(runs: dict[str, list[Run]]) -> None:
    """A line for each contender, then what the collector reaches of the floors. Medians of the rounds."""
    titles = ("spans/s", "answered/s", "CPU s/100k", "and summing", "peak RSS MB", "bytes/span")
    print(" " * 12 + "".join(f"{title:>13}" for title in titles))
    for name, each in runs.items():
        last, cpu, summing = each[-1], _cpu_us(each), _summing_us(each)
        answered = _median(each, lambda run: run.spans / run.answered_seconds if run.answered_seconds else 0.0)
        cells = (
            f"{_rate(each):.0f}",
            f"{answered:.0f}" if answered else "-",
            f"{cpu / 10:.2f}",
            f"{(cpu + summing) / 10:.2f}" if summing else "-",
            f"{last.rss / 1e6:.0f}" if last.rss else "-",
            f"{last.size / last.spans:.0f}" if last.size else "-",
        )
        print(f"{name:12}" + "".join(f"{cell:>13}" for cell in cells))
    taken, summing = _cpu_us(runs["collector"]), _summing_us(runs["collector"])
    for name in ("floor", "same rows"):
        rate, least, summed = _rate(runs[name]), _cpu_us(runs[name]), _summing_us(runs[name])
        print(
            f"of {name}: {_rate(runs['collector']) / rate:.2f} by spans/s, {least / taken:.2f} by CPU time; "
            f"{least / (taken + summing):.2f} with summing up ({summing:.1f} us a span, later), "
            f"{(least + summed) / (taken + summing):.2f} both with summing up ({summed:.1f} us)"
        )


def _median(runs: Sequence[Run], of: Callable[[Run], float]) -> float:
    return statistics.median(map(of, runs))


def _cpu_us(runs: Sequence[Run]) -> float:
    return _median(runs, lambda run: run.cpu_seconds / run.spans) * 1e6


def _summing_us(runs: Sequence[Run]) -> float:
    return _median(runs, lambda run: run.summing_seconds / run.spans) * 1e6


def _rate(runs: Sequence[Run]) -> float:
    return _median(runs, lambda run: run.spans / run.seconds)


if __name__ == "__main__":
    main()
