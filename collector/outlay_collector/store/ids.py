"""Ids for rows that are written in bulk and referred to in the same transaction."""

from __future__ import annotations

from sqlalchemy import BindParameter, Connection, bindparam, text


def take_ids(connection: Connection, table: str, number: int) -> list[int]:
    """Rising ids that no row has or had. SQLite's are safe because the transaction holds its lock."""
    if not number:
        return []
    named: BindParameter[str] = bindparam("table", table)
    if connection.dialect.name == "postgresql":
        taken = text("SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :number)")
        return sorted(connection.execute(taken.bindparams(named), {"number": number}).scalars())
    last = text("SELECT seq FROM sqlite_sequence WHERE name = :table").bindparams(named)
    first = (connection.execute(last).scalar() or 0) + 1
    return list(range(first, first + number))
