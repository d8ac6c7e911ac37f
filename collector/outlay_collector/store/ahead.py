"""Reads ahead: where a question waits for the disk, several connections read at once what it will read next.

A database reads a page when it needs it, and waits; a disk has eight pages in little more than the time of one. What
the other connections find is thrown away, as they may see a later state: by then it is in the page cache, where the
question itself finds it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine

from outlay_collector.store.engine import reading

_AT_ONCE: Final = 8
_TOO_LONG_S: Final = 0.1
_READERS: Final = ThreadPoolExecutor(_AT_ONCE, "outlay-ahead")

_Piece = TypeVar("_Piece")
_Found = TypeVar("_Found")
Read = Callable[[Connection, Sequence[_Piece]], Sequence[_Found]]
"""Over that connection, all of those pieces."""


def in_pieces(
    connection: Connection, pieces: Sequence[_Piece], read: Read[_Piece, _Found]
) -> Iterator[Sequence[_Found]]:
    """What is found in the first piece, then in all others, which are read ahead if the first was not in memory."""
    watch = _Watch(connection)
    found = read(connection, pieces[:1])
    ahead = pieces[1:] if watch.has_waited(len(pieces)) else ()
    yield found
    if len(pieces) > 1:
        with _ahead(connection.engine, ahead, read):
            yield read(connection, pieces[1:])


class _Watch:
    """Whether this thread, or the server it asks, waits for the disk."""

    def __init__(self, connection: Connection) -> None:
        self._is_server = connection.dialect.name == "postgresql"
        self._began, self._blocks = time.perf_counter(), _blocks_read()

    def has_waited(self, pieces: int) -> bool:
        """For the first of so many pieces. A server does not tell: it has where all of them would take too long."""
        if self._is_server:
            return (time.perf_counter() - self._began) * pieces > _TOO_LONG_S
        return _blocks_read() > self._blocks


@contextmanager
def _ahead(engine: Engine, pieces: Sequence[_Piece], read: Read[_Piece, Any]) -> Iterator[None]:
    """Meanwhile. What fails there fails for the question as well."""

    def read_one(piece: _Piece) -> None:
        with reading(engine) as connection:
            read(connection, [piece])

    futures: list[Future[None]] = [_READERS.submit(read_one, piece) for piece in pieces]
    try:
        yield
    finally:
        for future in futures:
            future.cancel()


if sys.platform == "linux":
    import resource

    def _blocks_read() -> int:
        """How many this thread had to have from the disk."""
        return resource.getrusage(resource.RUSAGE_THREAD).ru_inblock

else:

    def _blocks_read() -> int:
        """No other system tells it of a thread."""
        return 0
