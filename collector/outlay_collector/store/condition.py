"""How the database itself is doing: the room it takes, and how far its rollups are behind."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, func, select, text

from outlay_collector.store.rollups import PERIODS

_NS: Final = 1_000_000_000


def size_bytes(connection: Connection) -> int:
    """Of SQLite without its write-ahead log."""
    if connection.dialect.name == "postgresql":
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    return int(pages) * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())


def rollup_lag_s(connection: Connection, now_ns: int) -> float:
    """How long ago the oldest period ended that is over and not summed up; 0 where none is."""
    ended = func.min(PERIODS.c.start_ns + PERIODS.c.length_ns)
    waiting = PERIODS.c.stale & ~PERIODS.c.closed & (PERIODS.c.start_ns + PERIODS.c.length_ns < now_ns)
    oldest = connection.execute(select(ended).where(waiting)).scalar()
    return 0.0 if oldest is None else (now_ns - int(oldest)) / _NS
