"""Where a call's dimensions stand, and what it means to ask for some values of them."""

from __future__ import annotations

from sqlalchemy import ColumnElement, String, Table, and_, bindparam, or_, true

from outlay_collector.store.query import TAG, Filters
from outlay_collector.store.schema import CALLS


def dimension(name: str, table: Table = CALLS) -> ColumnElement[str | None]:
    """The column of a dimension."""
    if name.startswith(TAG):
        tag: ColumnElement[str | None] = table.c.tags[name[len(TAG) :]].as_string()
        return tag
    found: ColumnElement[str | None] = table.c[name]
    return found


Asked = tuple[tuple[str, bool], ...]
"""Dimensions that filters name, and whether calls that do not say it are wanted too."""


def asked_by(filters: Filters) -> Asked:
    return tuple((name, not all(wanted)) for name, wanted in filters.items())


def matches(table: Table, asked: Asked, prefix: str = "wanted") -> ColumnElement[bool]:
    """For all filters that ask for the same; executed with their `values_of`."""
    return and_(
        true(), *(_is_any_of(dimension(name, table), f"{prefix}_{n}", no) for n, (name, no) in enumerate(asked))
    )


def values_of(filters: Filters, prefix: str = "wanted") -> dict[str, list[str]]:
    """The parameters of `matches`."""
    return {f"{prefix}_{n}": [value for value in wanted if value] for n, wanted in enumerate(filters.values())}


def _is_any_of(found: ColumnElement[str | None], values: str, or_none: bool) -> ColumnElement[bool]:
    said = found.in_(bindparam(values, type_=String, expanding=True))
    return or_(said, found.is_(None)) if or_none else said
