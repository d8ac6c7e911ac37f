"""What a question waits for the disk for is read ahead over other connections; what is in memory is not."""

from __future__ import annotations

import os
import resource
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from outlay_collector.store.ahead import in_pieces
from outlay_collector.store.engine import open_engine, reading
from sqlalchemy import Connection, Engine

PIECES = range(1, 41)
IN_ALL = [f"{piece}" * 50_000 for piece in PIECES]
"""What stands in the database of each piece: some dozen pages."""

if sys.platform != "linux":
    pytest.skip("only Linux tells what a thread has read from the disk", allow_module_level=True)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = open_engine(f"sqlite:///{tmp_path / 'outlay.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE pieces (piece INTEGER PRIMARY KEY, said TEXT)")
        for piece, said in zip(PIECES, IN_ALL, strict=True):
            connection.exec_driver_sql("INSERT INTO pieces VALUES (?, ?)", (piece, said))
    engine.dispose()  # the last connection to go writes the log into the file
    return engine


@pytest.fixture
def on_disk(engine: Engine) -> Engine:
    """Nothing of it is in the page cache."""
    path = str(engine.url.database)
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_inblock
    os.pread(file, 4_096, os.fstat(file).st_size // 2)
    if resource.getrusage(resource.RUSAGE_THREAD).ru_inblock == before:
        pytest.skip("the folder for temporary files is in memory")
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)
    return engine


class Reader:
    """Reads pieces, and knows who asked for which. `waits`: for others to have read one, after the first piece."""

    def __init__(self, *, waits: bool = False) -> None:
        self._waits = waits
        self.asked: list[Sequence[int]] = []
        self.ahead: set[int] = set()
        self._was_ahead = threading.Event()
        self._question = threading.get_ident()

    def __call__(self, connection: Connection, pieces: Sequence[int]) -> list[str]:
        if threading.get_ident() == self._question:
            assert not self.asked or not self._waits or self._was_ahead.wait(30)
            self.asked.append(pieces)
        else:
            self.ahead.update(pieces)
            self._was_ahead.set()
        statement = "SELECT said FROM pieces WHERE piece BETWEEN ? AND ? ORDER BY piece"
        return [row.said for row in connection.exec_driver_sql(statement, (pieces[0], pieces[-1]))]


def test_pieces_on_the_disk_are_read_by_others_too_before_the_question_comes_to_them(on_disk: Engine) -> None:
    reader = Reader(waits=True)
    with reading(on_disk) as connection:
        found = [said for some in in_pieces(connection, PIECES, reader) for said in some]
    assert found == IN_ALL
    assert reader.asked == [PIECES[:1], PIECES[1:]]
    assert reader.ahead <= {*PIECES[1:]}


def test_what_is_in_memory_is_read_once(engine: Engine) -> None:
    reader = Reader()
    Path(str(engine.url.database)).read_bytes()
    with reading(engine) as connection:
        found = [said for some in in_pieces(connection, PIECES, reader) for said in some]
    assert found == IN_ALL
    assert (reader.asked, reader.ahead) == ([PIECES[:1], PIECES[1:]], set())


def test_who_has_enough_in_the_first_piece_reads_no_other(on_disk: Engine) -> None:
    reader = Reader()
    with reading(on_disk) as connection:
        assert next(iter(in_pieces(connection, PIECES, reader))) == IN_ALL[:1]
    assert (reader.asked, reader.ahead) == ([PIECES[:1]], set())


def test_what_fails_ahead_fails_for_the_question_alone(on_disk: Engine) -> None:
    def read(connection: Connection, pieces: Sequence[int]) -> list[str]:
        table = "pieces" if pieces[0] == PIECES[0] else "nowhere"
        return list(connection.exec_driver_sql(f"SELECT said FROM {table} WHERE piece = {pieces[0]}").scalars())

    with reading(on_disk) as connection:
        pieces = in_pieces(connection, PIECES, read)
        assert next(pieces) == IN_ALL[:1]
        with pytest.raises(Exception, match="no such table: nowhere"):
            next(pieces)
        assert connection.exec_driver_sql("SELECT count(*) FROM pieces").scalar() == len(PIECES)
