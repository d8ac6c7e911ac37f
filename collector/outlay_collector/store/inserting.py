"""Inserts that pass over what is there already, in the words of both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(connection: Connection, table: Any, rows: list[dict[str, Any]], *returning: Any) -> list[Row[Any]]:
    """Insert the rows whose key is not there yet, and return those columns of them."""
    if not rows:
        return []
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement: Any = dialect.insert(table).on_conflict_do_nothing()
    if not returning:
        connection.execute(statement, rows)
        return []
    return list(connection.execute(statement.returning(*returning), rows).all())
