"""Where a call's dimensions stand, and what it means to ask for some values of them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Table, and_, or_, true

from outlay_collector.store.query import TAG, Filters
from outlay_collector.store.schema import CALLS


def dimension(name: str, table: Table = CALLS) -> ColumnElement[str | None]:
    """The column of a dimension."""
    if name.startswith(TAG):
        tag: ColumnElement[str | None] = table.c.tags[name[len(TAG) :]].as_string()
        return tag
    found: ColumnElement[str | None] = table.c[name]
    return found


def matches(table: Table, filters: Filters) -> ColumnElement[bool]:
    return and_(true(), *(is_any_of(dimension(name, table), wanted) for name, wanted in filters.items()))


def is_any_of(found: ColumnElement[str | None], wanted: Sequence[str]) -> ColumnElement[bool]:
    said = found.in_([value for value in wanted if value])
    return said if all(wanted) else or_(said, found.is_(None))
