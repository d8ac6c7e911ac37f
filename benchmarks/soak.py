"""A day of traffic in as short a time as it takes: whether the collector's memory stays flat, and how large its
database becomes.

Calls of the 24 hours before now, or of fewer, are sent to a real `outlay up` in the order they were made, which sums
them up meanwhile. Memory is sampled every second, and the system says what the most was; what counts is that the last
quarter of the run needs no more than the first did. In the end every call must be there, and `outlay db verify` must
find every sum to be right.

    python benchmarks/soak.py [--calls 5000000] [--hours 24] [--batch 1000] [--senders 4] [--db URL]

A million calls of 4.8 hours come as close upon each other as five million of a day.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from outlay_collector.store.engine import open_engine
from outlay_collector.store.grains import HOUR_NS
from processes import cpu_of, rss
from traffic import body_of, calls

OUTLAY: Final = Path(sys.executable).with_name("outlay")
_CALLS_A_SESSION: Final = 5


@dataclass
class Samples:
    """The collector's memory over the run, in bytes, a second apart, and how many calls were in by then."""

    rss: list[int] = field(default_factory=list)

    def quarter(self, which: int) -> int:
        n = max(1, len(self.rss) // 4)
        return int(statistics.median(self.rss[which * n : (which + 1) * n] or self.rss[-1:]))


class Bodies:
    """Export requests of so many calls each, the n-th of the whole run in its own time: one body, written over."""

    def __init__(self, number: int, batch: int, from_ns: int, to_ns: int) -> None:
        self._number, self._batch, self._from_ns, self._length_ns = number, batch, from_ns, to_ns - from_ns
        numbered = list(zip(count(), calls(batch, from_ns, to_ns), strict=False))
        self._template = ExportTraceServiceRequest.FromString(body_of(numbered))

    def __len__(self) -> int:
        return self._number // self._batch

    def body(self, place: int) -> bytes:
        request = ExportTraceServiceRequest()
        request.CopyFrom(self._template)
        spans = request.resource_spans[0].scope_spans[0].spans
        for n, span in enumerate(spans, start=place * self._batch):
            took_ns = span.end_time_unix_nano - span.start_time_unix_nano
            span.start_time_unix_nano = self._from_ns + self._length_ns * n // self._number
            span.end_time_unix_nano = span.start_time_unix_nano + took_ns
            span.trace_id, span.span_id = (n + 1).to_bytes(16), (n + 1).to_bytes(8)
            for attribute in span.attributes:
                if attribute.key == "gen_ai.response.id":
                    attribute.value.string_value = f"resp_{n:024x}"
                elif attribute.key == "outlay.request.id":
                    attribute.value.string_value = f"req_{n:020x}"
                elif attribute.key == "session.id":
                    attribute.value.string_value = f"session-{n // _CALLS_A_SESSION}"
        return request.SerializeToString()


def soak(url: str, bodies: Bodies, senders: int) -> None:
    """Sends them all, nearly in order, each until it is taken."""
    places = iter(range(len(bodies)))
    lock = threading.Lock()

    def send() -> None:
        with httpx2.Client(headers={"content-type": "application/x-protobuf"}, timeout=120) as client:
            while True:
                with lock:
                    place = next(places, None)
                if place is None:
                    return
                body = bodies.body(place)
                while (status := client.post(f"{url}/v1/traces", content=body).status_code) in (429, 503):
                    time.sleep(0.1)
                if status != 200:
                    raise RuntimeError(f"the collector answered {status}")

    with ThreadPoolExecutor(senders) as pool:
        for done in [pool.submit(send) for _ in range(senders)]:
            done.result()


@contextmanager
def sampled(pid: int) -> Iterator[Samples]:
    samples, over = Samples(), threading.Event()

    def run() -> None:
        while not over.wait(1):
            samples.rss.append(rss(pid, "VmRSS"))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def size_of(db: str) -> int:
    engine = open_engine(db)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            path = Path(str(engine.url.database))
            return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar() or 0)


def usage(url: str, **params: Any) -> dict[str, Any]:
    window = {"from": "2020-01-01T00:00:00Z", "to": "2040-01-01T00:00:00Z", **params}
    (row,) = httpx2.get(f"{url}/api/v1/usage", params=window, timeout=600).json()["rows"]
    return dict(row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("--calls", 5_000_000), ("--batch", 1_000), ("--senders", 4)):
        parser.add_argument(name, type=int, default=value)
    parser.add_argument("--hours", type=float, default=24, help="how long the calls took to be made")
    parser.add_argument("--db", help="the URL of an empty database; a SQLite file of our own if not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(options.db or f"sqlite:///{folder}/outlay.db", folder, options)


def run(db: str, folder: str, options: argparse.Namespace) -> None:
    command = [str(OUTLAY), "up", "--no-dashboard", "--db", db, "--port", "0", "--grpc-port", "off"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = next(line.split()[1] for line in process.stdout if line.startswith("Collector"))
        now_ns = time.time_ns()
        bodies = Bodies(options.calls, options.batch, now_ns - int(options.hours * HOUR_NS), now_ns)
        number = len(bodies) * options.batch
        began, before = time.perf_counter(), cpu_of(process.pid)
        with sampled(process.pid) as samples:
            soak(url, bodies, options.senders)
        seconds, cpu = time.perf_counter() - began, cpu_of(process.pid) - before
        most = rss(process.pid, "VmHWM")
        found = usage(url)["calls"]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert found == number, f"{found} of {number} calls are there"
    print(
        f"{number} calls in {seconds:.0f} s: {number / seconds:.0f} a second, {cpu / number * 1e6:.0f} us of CPU each"
    )
    print("memory by quarters, MB:", ", ".join(f"{samples.quarter(n) / 1e6:.0f}" for n in range(4)))
    print(f"most: {most / 1e6:.0f} MB")
    print(_outlay("db", "rollup", "--db", db))
    print(f"{size_of(db) / number:.0f} bytes a call")
    print(_outlay("db", "verify", "--db", db))


def _outlay(*arguments: str) -> str:
    """What the command says. Raises with its own words where it fails."""
    done = subprocess.run([OUTLAY, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"outlay {' '.join(arguments[:2])}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


if __name__ == "__main__":
    main()
