"""`outlay db`: the database itself. Works on it directly; a collector may be running on it meanwhile."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.progress import Progress
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from outlay_collector.cli import CommandError
from outlay_collector.cli.options import ConfigOption, database_url
from outlay_collector.cli.output import JsonOption, console, count, table, write_json
from outlay_collector.periods import rfc3339
from outlay_collector.retention import prune as remove_old
from outlay_collector.retention import would_prune
from outlay_collector.rolling import sum_up_all
from outlay_collector.settings import read_settings
from outlay_collector.store.condition import size_bytes
from outlay_collector.store.engine import is_missing, open_engine, reading
from outlay_collector.store.migrate import current_revision, head_revision, migrate
from outlay_collector.store.rollups import PERIODS
from outlay_collector.store.schema import CALLS
from outlay_collector.store.verifying import verify as find_differences

app = typer.Typer(add_completion=False, no_args_is_help=True)

DbOption = Annotated[
    str | None,
    typer.Option(
        "--db", callback=database_url, help="The database; the one of outlay.toml if not given.", show_default=False
    ),
]
_TABLES: Final = ("calls", "reports", "rollups", "rollup_periods")


@app.command("migrate")
def migrate_database(*, db: DbOption = None, as_json: JsonOption = False) -> None:
    """Bring the database to the schema of this version. A collector does so itself when it starts."""
    with open_database(db, create=True) as engine:
        before = current_revision(engine)
        migrate(engine)
        after = current_revision(engine)
    if as_json:
        write_json({"from": before, "to": after})
    else:
        console().print(f"Already at {after}." if before == after else f"From {before or 'nothing'} to {after}.")


@app.command()
def stats(*, db: DbOption = None, as_json: JsonOption = False) -> None:
    """How many rows there are, from when to when, and what room they take."""
    with open_database(db) as engine:
        document = _stats(engine)
    if as_json:
        write_json(document)
        return
    screen = console()
    screen.print(table((("table", False), ("rows", True)), _counted(document["rows"])))
    screen.print(f"calls from {document['first_call_at'] or '-'} to {document['last_call_at'] or '-'}")
    screen.print(f"size {count(document['bytes'])} bytes, {count(document['bytes_per_call'])} a call")
    screen.print(f"schema {document['schema']}; rollups to bring up to date: {count(document['stale_periods'])}")


@app.command()
def verify(*, db: DbOption = None, as_json: JsonOption = False) -> None:
    """Prove that rollups equal calls. Ends with 1 where they do not, and says where."""
    with open_database(db) as engine:
        found = find_differences(engine)
    if as_json:
        write_json({"ok": not found, "differences": found})
    else:
        screen = console()
        for line in found:
            screen.print(line, soft_wrap=True)
        screen.print(f"{len(found)} differences." if found else "Rollups equal calls.")
    raise typer.Exit(1 if found else 0)


@app.command()
def rollup(*, db: DbOption = None, as_json: JsonOption = False) -> None:
    """Sum up what is not yet. A running collector does so by itself."""
    with open_database(db) as engine, Progress(console=console(), disable=as_json, transient=True) as progress:
        progress.add_task("Summing up", total=None)
        done = sum_up_all(engine, time.time_ns())
    if as_json:
        write_json({"periods": done})
    else:
        console().print(f"{done} periods summed up.")


@app.command()
def prune(
    *,
    config: ConfigOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove what is older than `[retention]` keeps. Sums stay as they were. A running collector does so by itself."""
    settings = read_settings(config)
    with open_database(db or settings.store.url) as engine:
        work = would_prune if dry_run else remove_old
        rows = work(engine, settings.retention, time.time_ns())
    found = {name: number for name, number in rows.items() if number}
    if as_json:
        write_json({"dry_run": dry_run, "rows": found})
    elif found:
        console().print(table((("table", False), ("older than kept" if dry_run else "removed", True)), _counted(found)))
    else:
        console().print("Nothing is older than it is kept.")


@app.command()
def backup(
    to: Annotated[Path, typer.Argument(help="The file to write; it must not exist yet.", show_default=False)],
    *,
    db: DbOption = None,
) -> None:
    """A copy of a SQLite database as it is at this moment, while calls go on being written."""
    if to.exists():
        raise CommandError(f"{to} exists; name a file that does not")
    with open_database(db) as engine:
        if engine.dialect.name != "sqlite":
            raise CommandError("this is for SQLite; Postgres has pg_dump, which does it better")
        _copy(engine, to)
    console().print(f"Written to {to}, {count(to.stat().st_size)} bytes.", soft_wrap=True)


def _copy(engine: Engine, to: Path) -> None:
    """A whole file under that name, or none."""
    partial = to.with_name(f".{to.name}.partial")
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("VACUUM INTO ?", (str(partial),))  # outside a transaction: only the driver can
        partial.rename(to)
    except (sqlite3.Error, OSError) as error:
        raise CommandError(f"{to} could not be written: {error}") from None
    finally:
        connection.close()
        partial.unlink(missing_ok=True)


@contextmanager
def open_database(db: str | None, *, create: bool = False) -> Iterator[Engine]:
    """The database a command was given, else that of outlay.toml. Every failure is a `CommandError`."""
    url = db or read_settings().store.url
    if not create and is_missing(url):
        raise CommandError(f"{url}: there is no such file; `outlay db migrate --db {url}` creates it")
    engine = open_engine(url, source="--db")
    try:
        if not create and current_revision(engine) != head_revision():
            raise CommandError(
                "this database has the schema of another version; `outlay db migrate` brings it to this one"
            )
        yield engine
    except SQLAlchemyError as error:
        raise CommandError(f"the database failed: {type(error).__name__}: {str(error).splitlines()[0]}") from None
    finally:
        engine.dispose()


def _counted(rows: Mapping[str, int]) -> list[tuple[str, str]]:
    return [(name, count(number)) for name, number in rows.items()]


def _stats(engine: Engine) -> dict[str, Any]:
    with reading(engine) as connection:
        rows = {name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar() or 0 for name in _TABLES}
        first, last = connection.execute(select(func.min(CALLS.c.started_at_ns), func.max(CALLS.c.started_at_ns))).one()
        stale = connection.execute(select(func.count()).select_from(PERIODS).where(PERIODS.c.stale)).scalar()
        size = size_bytes(connection)
    return {
        "rows": rows,
        "first_call_at": None if first is None else rfc3339(first),
        "last_call_at": None if last is None else rfc3339(last),
        "bytes": size,
        "bytes_per_call": size // rows["calls"] if size and rows["calls"] else None,
        "stale_periods": stale,
        "schema": head_revision(),
    }
