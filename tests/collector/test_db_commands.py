"""`outlay db`: the database looked after from the command line."""

from __future__ import annotations

import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from outlay.errors import OutlayError
from outlay.prices import PriceBook
from outlay_collector import cli
from outlay_collector.cli import CommandError
from outlay_collector.cli.db import app
from outlay_collector.ingest import read_batch
from outlay_collector.store.engine import open_engine
from outlay_collector.store.query import UsageQuery
from outlay_collector.store.sql import SqlStore
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, body_of, chat
from tests.collector.spoiling import add_to_rollups


def run(*arguments: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result.output


@pytest.fixture
def filled(engine: Engine) -> Engine:
    body = body_of(*(Sent(trace=n, attributes=chat()) for n in range(1, 4)))
    SqlStore(engine).write(read_batch(body, is_json=False, book=PriceBook.bundled()).reports, NOW_NS)
    return engine


@BOTH_BACKENDS
def test_verify_ends_with_one_where_a_rollup_is_not_its_calls(filled: Engine, database_url: str) -> None:
    assert orjson.loads(run("rollup", "--db", database_url, "--json"))["periods"] >= 1
    assert run("verify", "--db", database_url).strip() == "Rollups equal calls."
    add_to_rollups(filled, "calls", 1)
    answer = orjson.loads(run("verify", "--db", database_url, "--json", exit_code=1))
    assert answer["ok"] is False
    assert "calls is 4 in the rollup and 3 in calls" in answer["differences"][0]


@BOTH_BACKENDS
def test_stats_tell_what_there_is(filled: Engine, database_url: str) -> None:
    stats = orjson.loads(run("stats", "--db", database_url, "--json"))
    assert stats["rows"]["calls"] == 3
    assert stats["first_call_at"] == stats["last_call_at"] == "2026-11-20T11:59:00Z"
    assert stats["bytes_per_call"] > 0
    assert "calls" in run("stats", "--db", database_url)


def test_migrate_makes_a_database_and_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    with pytest.raises(CommandError, match="no such file"):
        run("stats", "--db", url)
    assert run("migrate", "--db", url).startswith("From nothing to ")
    assert run("migrate", "--db", url).startswith("Already at ")


@pytest.mark.parametrize("command", [["db", "stats"], ["spend"], ["alerts", "check"]])
def test_what_is_no_url_of_a_database_is_refused_by_every_command(command: list[str]) -> None:
    with pytest.raises(OutlayError, match="expected a database URL such as sqlite:///"):
        CliRunner().invoke(cli.app, [*command, "--db", "sqlite:/outlay.db"], catch_exceptions=False)


def test_a_backup_is_a_whole_database(filled: Engine, database_url: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    run("backup", str(copy), "--db", database_url)
    restored = open_engine(f"sqlite:///{copy}")
    (row,) = SqlStore(restored).usage(UsageQuery(from_ns=0, to_ns=NOW_NS))
    assert row.calls == 3
    restored.dispose()
    with pytest.raises(CommandError, match="exists"):
        run("backup", str(copy), "--db", database_url)


def test_a_backup_that_cannot_be_written_says_so_and_leaves_nothing(
    filled: Engine, database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match="could not be written: unable to open"):
        run("backup", str(tmp_path / "missing" / "copy.db"), "--db", database_url)
    with pytest.raises(CommandError, match="could not be written"), as_small_as(8):
        run("backup", str(tmp_path / "copy.db"), "--db", database_url)
    assert list(tmp_path.glob("*copy.db*")) + list(tmp_path.glob(".*copy.db*")) == []


@contextmanager
def as_small_as(kilobytes: int) -> Iterator[None]:
    """No file of this process may grow further, as on a disk without room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_backup_that_is_put_back_is_the_database_again(filled: Engine, database_url: str, tmp_path: Path) -> None:
    database, copy = Path(make_url(database_url).database or ""), tmp_path / "copy.db"
    run("backup", str(copy), "--db", database_url)
    with filled.begin() as connection:
        connection.execute(text("DELETE FROM reports"))
        connection.execute(text("DELETE FROM calls"))
    filled.dispose()
    shutil.copy(copy, database)
    for log in ("-wal", "-shm"):
        database.with_name(database.name + log).unlink(missing_ok=True)
    assert run("verify", "--db", database_url).strip() == "Rollups equal calls."
    assert orjson.loads(run("stats", "--db", database_url, "--json"))["rows"]["calls"] == 3
