"""Ids for rows that are written in bulk and referred to in the same transaction."""

from __future__ import annotations

from sqlalchemy import Connection


def take_ids(connection: Connection, table: str, number: int) -> list[int]:
    """Rising ids that no row has or had. SQLite's are safe because the transaction holds its lock."""
    if not number:
        return []
    if connection.dialect.name == "postgresql":
        taken = "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)"
        return sorted(connection.exec_driver_sql(taken, (table, number)).scalars())
    last = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).scalar() or 0
    return list(range(last + 1, last + 1 + number))
