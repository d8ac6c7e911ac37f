"""The names of what calls are grouped by, as the ids that blocks hold: one table for all dimensions, added to and never
changed. The id 0 is no name at all: a call that does not say."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import orjson
from sqlalchemy import Connection

from outlay_collector.store.inserting import insert_new, rows_by_key
from outlay_collector.store.rollups import NAMES

NOBODY: Final = 0
_LOCK: Final = 0x6F75746C6102


def ids_of(connection: Connection, names: Collection[str]) -> dict[str, int]:
    """The ids of those names that have one."""
    rows = rows_by_key(connection, "rollup_names", ("name", "id"), "name", names)
    return dict(rows)


def names_of(connection: Connection, ids: Collection[int]) -> dict[int, str | None]:
    """What the ids stand for. Those that no name has are left out, as if nobody had ever been called so."""
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql("SELECT id, name FROM rollup_names WHERE id = ANY(%s)", (list(ids),)).all()
    else:
        wanted = "SELECT id, name FROM rollup_names WHERE id IN (SELECT value FROM json_each(?))"
        rows = connection.exec_driver_sql(wanted, (orjson.dumps(list(ids)).decode(),)).all()
    return {NOBODY: None, **dict(rows)}


def add_names(connection: Connection, names: Sequence[str]) -> None:
    """Give an id to each that has none, the first the lowest. In a transaction that writes."""
    if connection.dialect.name == "postgresql":  # one after the other, as each has them in an order of its own
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    insert_new(connection, NAMES, [{"name": name} for name in names])
