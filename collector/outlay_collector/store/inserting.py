"""Inserts in bulk, inserts that pass over what is there already, and look-ups of many keys at once, in the words of
both databases."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import Connection, Row
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")
_MOST_PARAMETERS: Final = 500


def insert_rows(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Straight to the driver: the rows are in its own types already. Raises as SQLAlchemy does.

    Every row says two columns or more. SQLite is not told of columns that no row says, which must have no default: its
    driver takes 0.25 us to find out that None is NULL, and a call leaves a dozen unsaid.
    """
    if connection.dialect.name == "postgresql":
        _copy(connection, f"COPY {table} ({_listed(columns)}) FROM STDIN", rows)
        return
    if values := list(rows):
        said = _said_by(values)
        marks = ", ".join("?" * len(said))
        statement = f"INSERT INTO {table} ({_listed(columns[place] for place in said)}) VALUES ({marks})"
        connection.exec_driver_sql(statement, list(map(itemgetter(*said), values)))


def _said_by(rows: Sequence[tuple[Any, ...]]) -> list[int]:
    """The places at which any of the rows says something."""
    return [
        place
        for place, value in enumerate(rows[0])
        if value is not None or list(map(itemgetter(place), rows)).count(None) < len(rows)
    ]


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _copy(connection: Connection, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    driver: Any = connection.connection.driver_connection
    errors: Any = connection.dialect.loaded_dbapi
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except errors.Error as error:
        raise DBAPIError.instance(statement, None, error, errors.Error) from error


def rows_by_key(
    connection: Connection,
    table: str,
    columns: Sequence[str],
    key: str,
    values: Collection[str] | Collection[int],
    most: int | None = None,
) -> Sequence[Any]:
    """Those columns of the rows whose `key` is one of the values, in any order, and no more than `most`."""
    if not values:
        return []
    condition, wanted = among(connection, key, values)
    end = "" if most is None else f" LIMIT {most}"
    select = f"SELECT {', '.join(columns)} FROM {table} WHERE {condition}{end}"
    return connection.exec_driver_sql(select, (wanted,)).all()


def among(connection: Connection, column: str, values: Collection[str] | Collection[int]) -> tuple[str, Any]:
    """The condition that a column has one of the values, and its parameter. It is one for all of them: one each takes
    SQLAlchemy longer to write down than the database to look up, 3 us a span."""
    if connection.dialect.name == "postgresql":
        return f"{column} = ANY(%s)", list(values)
    return f"{column} IN (SELECT value FROM json_each(?))", orjson.dumps(list(values)).decode()


def portions(values: Iterable[T], most: int = _MOST_PARAMETERS) -> Iterator[list[T]]:
    """Some at a time, for statements in which each value is a parameter."""
    left = iter(values)
    while some := list(islice(left, most)):
        yield some


def rows_by_pair(
    connection: Connection,
    table: str,
    columns: Sequence[str],
    key: tuple[str, str],
    values: Collection[tuple[str, str]],
) -> Sequence[Any]:
    """Likewise, of two columns together."""
    if not values:
        return []
    select = f"SELECT {', '.join(columns)} FROM {table} WHERE ({', '.join(key)}) IN"
    if connection.dialect.name == "postgresql":
        one, other = zip(*values, strict=True)
        pairs = "(SELECT * FROM unnest(%s::text[], %s::text[]))"
        return connection.exec_driver_sql(f"{select} {pairs}", (list(one), list(other))).all()
    wanted = orjson.dumps(list(values)).decode()
    pairs = "(SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))"
    return connection.exec_driver_sql(f"{select} {pairs}", (wanted,)).all()


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
