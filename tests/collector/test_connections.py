"""How connections to a database are set up."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest
from outlay_collector.store.engine import open_engine, reading
from outlay_collector.store.migrate import current_revision, head_revision, migrate
from sqlalchemy import Connection, Engine


@pytest.fixture
def sqlite(tmp_path: Path) -> Engine:
    engine = open_engine(f"sqlite:///{tmp_path}/outlay.db")
    migrate(engine)
    return engine


def said(connection: Connection, pragma: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one())


def test_who_writes_has_room_for_the_pages_of_a_commit_and_who_only_reads_takes_little_memory(sqlite: Engine) -> None:
    with sqlite.begin() as writer:
        assert said(writer, "cache_size") == -16_000
        with reading(sqlite) as reader:
            assert said(reader, "cache_size") == -2_000


def test_the_next_to_write_has_the_connection_that_wrote_last(sqlite: Engine) -> None:
    with sqlite.begin() as writer, reading(sqlite):
        last = writer.connection.driver_connection
    with sqlite.begin() as writer:
        assert writer.connection.driver_connection is last


def test_a_new_database_has_pages_of_4_kb_and_one_with_larger_pages_keeps_them(sqlite: Engine, tmp_path: Path) -> None:
    with reading(sqlite) as connection:
        assert said(connection, "page_size") == 4_096
    with closing(connect(tmp_path / "larger.db")) as made:
        made.execute("PRAGMA page_size=16384")
        made.execute("PRAGMA journal_mode=WAL")
    larger = open_engine(f"sqlite:///{tmp_path}/larger.db")
    migrate(larger)
    with reading(larger) as connection:
        assert said(connection, "page_size") == 16_384
        assert current_revision(larger) == head_revision()
