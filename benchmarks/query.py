"""How long the questions of the dashboard take over a month of calls, asked of the store it reads.

Cold is the first answer on a connection of its own, right after the file was dropped from the page cache where the
system lets us; warm are the answers after it.

    python benchmarks/query.py [--calls 300000] [--times 20] [--keep FILE] [--postgres URL]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from outlay_collector.billing import Report, Source
from outlay_collector.periods import Interval, edges
from outlay_collector.rolling import sum_up_all
from outlay_collector.store.engine import open_engine
from outlay_collector.store.migrate import migrate
from outlay_collector.store.query import CallsQuery, Filters, UsageQuery
from outlay_collector.store.rollups import DAY_NS
from outlay_collector.store.sql import SqlStore
from sqlalchemy.engine import make_url
from traffic import calls

NOW_NS: Final = 1_795_176_000 * 1_000_000_000
"""2026-11-20 12:00 UTC: the month before it is full of calls, and its last day is not over."""
BATCH: Final = 4_096


def fill(url: str, number: int) -> None:
    """A month of calls, summed up as a collector that has run all the time would have."""
    engine = open_engine(url)
    migrate(engine)
    store = SqlStore(engine)
    numbered = zip(count(), calls(number, NOW_NS - 30 * DAY_NS, NOW_NS), strict=False)
    reports = (
        Report(
            call=call,
            trace_id=f"{n + 1:032x}",
            span_id=f"{n + 1:016x}",
            parent_span_id=None,
            dialect="outlay",
            scope="outlay",
            source=Source.OUTLAY,
        )
        for n, call in numbered
    )
    while some := list(islice(reports, BATCH)):
        store.write(some, NOW_NS)
    sum_up_all(engine, NOW_NS)
    engine.dispose()


def usage(
    days: float,
    by: Sequence[str] = (),
    interval: Interval | None = None,
    zone: str = "UTC",
    where: Filters | None = None,
) -> Callable[[SqlStore], int]:
    """A question, as a function that gives the number of rows of its answer."""
    start = NOW_NS - int(days * DAY_NS)
    cut = None if interval is None else list(edges(interval, start, NOW_NS, ZoneInfo(zone)))
    query = UsageQuery(from_ns=start, to_ns=NOW_NS, edges=cut, group_by=by, filters=where or {})
    return lambda store: len(store.usage(query))


PROD: Final = {"environment": ["prod"]}
QUESTIONS: Final[dict[str, Callable[[SqlStore], int]]] = {
    "day, total": usage(1),
    "day, by hour": usage(1, interval="hour"),
    "week, by day and model": usage(7, ["model"], "day"),
    "month, total": usage(30),
    "month, by day": usage(30, interval="day"),
    "month, by day, New York": usage(30, interval="day", zone="America/New_York"),
    "month, by day, Kathmandu": usage(30, interval="day", zone="Asia/Kathmandu"),
    "month, by model": usage(30, ["model"]),
    "month, by day and model": usage(30, ["model"], "day"),
    "month, by day and model, Kathmandu": usage(30, ["model"], "day", "Asia/Kathmandu"),
    "month, by feature": usage(30, ["feature"]),
    "month, by tenant": usage(30, ["tenant"]),
    "month, by model, of prod": usage(30, ["model"], where=PROD),
    "month, by tenant and feature": usage(30, ["tenant", "feature"]),
    "month, by user": usage(30, ["user"]),
    "latest 50 calls": lambda store: len(store.calls(CallsQuery(limit=50))),
}


def cold(url: str) -> None:
    """Drop a SQLite file from the page cache, as far as the system does so when asked."""
    path = make_url(url).database
    if url.startswith("sqlite") and path:
        with Path(path).open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(url: str, question: Callable[[SqlStore], int], times: int) -> Iterator[float]:
    """Milliseconds of the first answer, then of the others."""
    cold(url)
    engine = open_engine(url)
    store = SqlStore(engine)
    for _ in range(times + 1):
        began = time.perf_counter()
        question(store)
        yield (time.perf_counter() - began) * 1000
    engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300_000)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="a SQLite file to fill, or to ask again where it is there")
    parser.add_argument("--postgres", help="the URL of an empty database to use instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.keep or Path(folder) / "outlay.db"
        url = options.postgres or f"sqlite:///{path}"
        if not path.exists():
            began = time.perf_counter()
            fill(url, options.calls)
            print(f"{options.calls} calls written and summed up in {time.perf_counter() - began:.0f} s")
        report(url, options.times)


def report(url: str, times: int) -> None:
    print(f"{'ms':36}{'cold':>8}{'median':>8}{'p95':>8}")
    for name, question in QUESTIONS.items():
        first, *warm = measure(url, question, times)
        p95 = statistics.quantiles(warm, n=20)[-1]
        print(f"{name:36}{first:>8.1f}{statistics.median(warm):>8.1f}{p95:>8.1f}")


if __name__ == "__main__":
    main()
