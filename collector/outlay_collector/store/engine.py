"""Opens the database a URL names, with the durability and the locking the collector promises.

SQLite: WAL, so that readers never wait for the writer; `synchronous=FULL`, so that what was committed survives a power
cut, unless somebody asks for `normal`; every transaction takes the write lock when it begins, because one that reads
first and writes later fails at once where another wrote in between. Readers say so with `reading` and take no lock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from sqlite3 import Connection as SQLiteConnection
from typing import Any, Final, Literal

import orjson
from outlay.errors import ConfigError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from outlay_collector.store.remembered import Remembered

BUSY_TIMEOUT_S: Final = 30
Synchronous = Literal["full", "normal"]
_EXPECTED: Final = "a database URL such as sqlite:///outlay.db or postgresql://user:password@host/name"
_OF_POSTGRES: Final = "full: of Postgres, say `?options=-csynchronous_commit%3Doff` in the URL"
_CHECKPOINT_PAGES: Final = 4_000
"""How long the log grows, 16 MB, before it goes into the database: the pages of indexes that every commit touches are
written once for many. 4 us less a call than with SQLite's own 1,000."""
_WRITER_CACHE_KB: Final = 16_000
"""How much of the database a SQLite connection keeps that writes; SQLite's own 2,000 is enough to read, where what it
misses is in the page cache. A commit of 512 calls touches 500 to 1,500 pages, and with as little reads them again and
again: 12,100 reads in a database of ten million calls where it is 4,300 with this, and 97 us of CPU a call, not 127.

Pages have SQLite's 4 kB. Of 16 kB a small change writes as much: 111 kB to the log, not 31, for a commit of one call,
18 MB, not 5, for one of 512, whose ids stand all over their indexes (docs/adr/0010)."""
_IS_WRITER: Final = "outlay_is_writer"
_ESCAPED_NUL: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_READ_ONLY: Final = "outlay_read_only"
_REMEMBERED: Final = "outlay_remembered"
_POSTGRES_NAMES: Final = frozenset({"postgres", "postgresql", "postgresql+psycopg"})


def open_engine(url: str, *, source: str = "store", synchronous: Synchronous = "full") -> Engine:
    """The engine for `sqlite:///path` or `postgresql://...`. Creates no table and, for Postgres, opens no connection.

    `synchronous` is SQLite's own: Postgres has a setting of its own for it, which its URL can name.
    Raises `ConfigError` naming `source` where the URL cannot be used; the value stays out: it may hold a password.
    """
    parsed = parsed_url(url, source)
    if parsed.drivername == "sqlite":
        return _open_sqlite(parsed, source, synchronous)
    if synchronous != "full":
        raise ConfigError(source, "synchronous", synchronous, _OF_POSTGRES)
    return _open_postgres(parsed, source)


def parsed_url(url: str, source: str) -> URL:
    """The parts of a URL that `open_engine` can open. Raises as that does."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError(source, "url", "...", _EXPECTED) from None
    if parsed.drivername != "sqlite" and parsed.drivername not in _POSTGRES_NAMES:
        raise ConfigError(source, "url", f"{parsed.drivername}://...", _EXPECTED)
    return parsed


def is_missing(url: str) -> bool:
    """Whether it names an SQLite file that is not there, which opening would make. `open_engine` refuses what no URL
    of a database is."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return False
    return parsed.drivername == "sqlite" and bool(parsed.database) and not Path(str(parsed.database)).is_file()


_AT_ONCE: Final[ContextVar[Connection | None]] = ContextVar("outlay_reading", default=None)


@contextmanager
def reading_at_once(engine: Engine) -> Iterator[Connection]:
    """Whatever the block reads is read from one state of the database, over one connection."""
    with reading(engine) as connection:
        before = _AT_ONCE.set(connection)
        try:
            yield connection
        finally:
            _AT_ONCE.reset(before)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that only reads: it sees one state of the database and waits for no writer."""
    at_once = _AT_ONCE.get()
    if at_once is not None and at_once.engine is engine:
        yield at_once
        return
    options: dict[str, Any] = {_READ_ONLY: True}
    if engine.dialect.name == "postgresql":
        options["isolation_level"] = "REPEATABLE READ"
    with engine.connect().execution_options(**options) as connection:
        yield connection


def remembered_by(connection: Connection) -> Remembered | None:
    """The blocks that this database's questions read before. None where the connection may see several states of it:
    what it reads of a period need not be of the edition it has seen."""
    options = connection.get_execution_options()
    remembered: Remembered | None = options.get(_REMEMBERED) if options.get(_READ_ONLY) else None
    return remembered


def _open_sqlite(url: URL, source: str, synchronous: Synchronous) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ConfigError(source, "url", str(url), "a path to a file: sqlite:///outlay.db")
    folder = Path(url.database).absolute().parent
    if not folder.is_dir():
        raise ConfigError(source, "url", str(url), f"a folder that exists: {folder} does not")
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        pool_size=8,
        max_overflow=32,
        pool_use_lifo=True,  # who writes next has what the last one left in the connection's cache
        json_serializer=json_text,
        json_deserializer=orjson.loads,
        hide_parameters=True,  # they are what people's calls say; errors are logged
        execution_options={_REMEMBERED: Remembered()},
    )
    event.listen(engine, "connect", partial(_prepare_sqlite, synchronous=synchronous))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _open_postgres(url: URL, source: str) -> Engine:
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_size=8,
            max_overflow=32,
            pool_pre_ping=True,
            json_serializer=json_text,
            json_deserializer=orjson.loads,
            hide_parameters=True,
            execution_options={_REMEMBERED: Remembered()},
        )
    except ModuleNotFoundError:
        raise ConfigError(
            source, "url", "postgresql://...", "psycopg: pip install 'outlay-collector[postgres]'"
        ) from None


def _prepare_sqlite(connection: SQLiteConnection, _record: object, *, synchronous: Synchronous) -> None:
    connection.isolation_level = None  # the driver's own implicit BEGIN would come too late for DDL and locks
    pragmas = ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON", "temp_store=MEMORY")
    for pragma in (*pragmas, f"wal_autocheckpoint={_CHECKPOINT_PAGES}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    if not read_only and _IS_WRITER not in connection.info:
        connection.exec_driver_sql(f"PRAGMA cache_size={-_WRITER_CACHE_KB}")
        connection.info[_IS_WRITER] = True
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def json_text(value: Any) -> str:
    """The JSON both databases take: Postgres holds no NUL, not even an escaped one."""
    written = orjson.dumps(value).decode()
    return _ESCAPED_NUL.sub(r"\1", written) if "\\u0000" in written else written
