"""How many calls a second the collector takes, durable and queryable, beside the least that the work can cost.

The floor is the same bodies parsed, every attribute walked, a row inserted under the same indexes and an hour's sums
kept, in one process without a server: what Python and SQLite need however the collector is written. Both are held to
one core, and take turns; what is compared is the CPU time they use for a span. The collector is the real `outlay up`,
asked over HTTP by as many senders as an application has, and a call counts once a query has found it. What it costs to
sum them up, which the collector does beside and later, is measured after that and said apart and in all.

Twice: with Outlay's own spans, which come priced and whole, and with the same calls in the words of the GenAI
conventions alone, which are a third as long and are priced by the collector. The floor prices nothing.

    python benchmarks/ingest.py [--spans 20480] [--batch 512] [--senders 4] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from outlay.model import Call
from outlay_collector.rolling import sum_up_all
from outlay_collector.store.engine import open_engine
from outlay_collector.store.migrate import migrate
from outlay_collector.store.rollups import DAY_NS
from outlay_collector.store.rows import COLUMNS
from traffic import body_of, calls, conventional_body_of

HOUR_NS: Final = 3600 * 1_000_000_000
TICKS: Final = os.sysconf("SC_CLK_TCK")
NAMES: Final = {
    "gen_ai.provider.name": "provider",
    "gen_ai.operation.name": "operation",
    "gen_ai.request.model": "model_requested",
    "gen_ai.response.model": "model_served",
    "gen_ai.response.id": "response_id",
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cache_read_tokens",
    "outlay.cost.nano_usd": "cost_nano_usd",
    "outlay.cost.status": "cost_status",
    "outlay.cost.lines": "cost_lines",
    "outlay.cost.price_id": "price_id",
    "outlay.usage": "usage",
    "outlay.usage.raw": "usage_raw",
    "outlay.attempts": "attempts",
    "outlay.feature": "feature",
    "outlay.tenant": "tenant",
    "outlay.request.id": "request_id",
    "user.id": "user",
    "session.id": "session",
    "server.address": "server_address",
    "http.response.status_code": "http_status",
    "error.type": "error_type",
}
"""What the floor knows of a span: as many columns as the collector fills."""


@dataclass(frozen=True, slots=True)
class Run:
    """One contender's turn. `seconds` of wall time, `rss` and `size` in bytes, None where there is nothing to say."""

    cpu_seconds: float
    seconds: float
    summing_seconds: float = 0.0
    rss: int | None = None
    size: int | None = None


def floor(bodies: Sequence[bytes], folder: Path, core: int) -> Run:
    """Parse, walk, insert and sum, each body in a transaction of its own."""
    path = folder / "floor.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE sums (hour INTEGER, model TEXT, feature TEXT, calls INTEGER, cost INTEGER, "
        "PRIMARY KEY (hour, model, feature)) WITHOUT ROWID"
    )
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    insert = f"INSERT INTO calls ({names}) VALUES ({', '.join('?' * len(COLUMNS))})"
    add = (
        "INSERT INTO sums VALUES (?, ?, ?, 1, ?) "
        "ON CONFLICT DO UPDATE SET calls = calls + 1, cost = cost + excluded.cost"
    )
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    wall, cpu = time.perf_counter(), time.process_time()
    for body in bodies:
        rows = walk(body)
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, [tuple(map(row.get, COLUMNS)) for row in rows])
        sums = ((r["started_at_ns"] // HOUR_NS, r["model_served"], r["feature"], r["cost_nano_usd"]) for r in rows)
        connection.executemany(add, sums)
        connection.execute("COMMIT")
    run = Run(time.process_time() - cpu, time.perf_counter() - wall)
    os.sched_setaffinity(0, everywhere)
    connection.close()
    return run


def walk(body: bytes) -> list[dict[str, Any]]:
    """A row for each span, from every attribute it has."""
    rows: list[dict[str, Any]] = []
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                row: dict[str, Any] = dict.fromkeys(("retries", "rate_limited", "streamed", "received_at_ns"), 0)
                row |= {"feature": "", "cost_nano_usd": 0, "cost_status": "unpriced"}
                for attribute in span.attributes:
                    kind = attribute.value.WhichOneof("value")
                    if (name := NAMES.get(attribute.key)) and kind:
                        row[name] = getattr(attribute.value, kind)
                row["started_at_ns"], row["ended_at_ns"] = span.start_time_unix_nano, span.end_time_unix_nano
                row["duration_ms"] = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
                row["latency_bin"], row["status"] = 80, "ok"
                row["trace_id"], row["span_id"] = span.trace_id.hex(), span.span_id.hex()
                row["bill_key"] = f"{row['provider']}:{row['response_id']}"
                rows.append(row)
    return rows


def collector(bodies: Sequence[bytes], folder: Path, options: argparse.Namespace, core: int) -> Run:
    """The same bodies sent to `outlay up`, which answers once they are committed. The first is sent before the clocks
    are looked at: a collector reads its price book once."""
    outlay = Path(sys.executable).with_name("outlay")
    command = [str(outlay), "up", "--no-dashboard", "--db", f"sqlite:///{folder}/outlay.db", "--port", "0"]
    command += ["--grpc-port", "off"]
    process = subprocess.Popen(["taskset", "-c", str(core), *command], cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = next(line.split()[1] for line in process.stdout if line.startswith("Collector"))
        _send(url, bodies[:1])
        _settle(process.pid)
        before, began = cpu_of(process.pid), time.perf_counter()
        with ThreadPoolExecutor(options.senders) as pool:
            list(pool.map(lambda n: _send(url, bodies[1 + n :: options.senders]), range(options.senders)))
        seconds = time.perf_counter() - began
        used = cpu_of(process.pid) - before
        window = {"from": "2020-01-01T00:00:00Z", "to": "2040-01-01T00:00:00Z"}
        (row,) = httpx2.get(f"{url}/api/v1/usage", params=window).json()["rows"]
        sent = options.spans + options.batch
        assert row["calls"] == sent, f"{row['calls']} of {sent} calls are there"
        most = rss(process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    counted = options.spans / sent
    summing = _sum_up(f"sqlite:///{folder}/outlay.db") * counted
    size = sum(file.stat().st_size for file in folder.glob("outlay.db*"))
    return Run(used, seconds, summing, most, int(size * counted))


def _sum_up(url: str) -> float:
    """The CPU seconds it takes to sum up all there is, as the collector does it beside its other work."""
    engine = open_engine(url)
    before = time.process_time()
    sum_up_all(engine, time.time_ns() + 8 * DAY_NS)
    engine.dispose()
    return time.process_time() - before


def _send(url: str, bodies: Sequence[bytes]) -> None:
    with httpx2.Client(headers={"content-type": "application/x-protobuf"}, timeout=60) as client:
        for body in bodies:
            client.post(f"{url}/v1/traces", content=body).raise_for_status()


def _settle(pid: int) -> None:
    """Returns once the process has finished what it does when it starts."""
    used = -1.0
    while (now := cpu_of(pid)) > used:
        used = now
        time.sleep(0.5)


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss(pid: int, which: str = "VmHWM") -> int:
    """Resident memory in bytes: the most there ever was or, `VmRSS`, now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{which}:")[2].split()[0]) * 1024


def bodies_of(spans: int, batch: int, encode: Callable[[Sequence[tuple[int, Call]]], bytes]) -> list[bytes]:
    now = time.time_ns()
    numbered = list(zip(count(), calls(spans, now - 24 * HOUR_NS, now), strict=False))
    return [encode(numbered[n : n + batch]) for n in range(0, spans, batch)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("--spans", 20_480), ("--batch", 512), ("--senders", 4), ("--rounds", 3)):
        parser.add_argument(name, type=int, default=value)
    options = parser.parse_args()
    core = max(os.sched_getaffinity(0))
    for kind, encode in (("Outlay's own spans", body_of), ("spans of the conventions", conventional_body_of)):
        bodies = bodies_of(options.spans + options.batch, options.batch, encode)
        size = sum(map(len, bodies[1:])) // options.spans
        print(f"\n{kind}: {options.spans} of {size} bytes, {options.batch} a request")
        runs: dict[str, list[Run]] = {"floor": [], "collector": []}
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                runs["floor"].append(floor(bodies[1:], Path(folder), core))
                runs["collector"].append(collector(bodies, Path(folder), options, core))
        report(runs, options.spans)


def report(runs: dict[str, list[Run]], spans: int) -> None:
    """A line for each contender, then what the collector reaches of the floor. Medians of the rounds."""
    summing = statistics.median(run.summing_seconds for run in runs["collector"]) / spans
    print(f"{'':12}{'spans/s':>10}{'CPU s/100k':>12}{'and summing':>13}{'peak RSS MB':>13}{'bytes/call':>12}")
    cpu = {name: statistics.median(run.cpu_seconds for run in turns) / spans for name, turns in runs.items()}
    rates = {name: spans / statistics.median(run.seconds for run in turns) for name, turns in runs.items()}
    for name, turns in runs.items():
        last = turns[-1]
        summed = f"{(cpu[name] + summing) * 1e5:.2f}" if name == "collector" else "-"
        rss = f"{last.rss / 1e6:.0f}" if last.rss else "-"
        size = f"{last.size / spans:.0f}" if last.size else "-"
        print(f"{name:12}{rates[name]:>10.0f}{cpu[name] * 1e5:>12.2f}{summed:>13}{rss:>13}{size:>12}")
    whole = cpu["floor"] / (cpu["collector"] + summing)
    print(
        f"of the floor: {rates['collector'] / rates['floor']:.2f} by spans/s, {cpu['floor'] / cpu['collector']:.2f} by "
        f"CPU time, {whole:.2f} with summing up ({summing * 1e6:.1f} us a span, later)"
    )


if __name__ == "__main__":
    main()
