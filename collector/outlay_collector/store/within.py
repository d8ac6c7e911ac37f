"""Statements over the calls of some segments.

A statement is made for the shape of what is asked, and remembered: SQLAlchemy takes longer to make one and to write it
down than the database to answer it, and what it makes is full of circles, which only the garbage collector removes.
Where the segments are is no part of it, but put into its text as it is sent: a thousand minutes bound one by one take
longer than their sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Integer,
    Select,
    and_,
    bindparam,
    select,
    text,
    true,
)
from sqlalchemy.sql.util import ClauseAdapter
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.types import UserDefinedType

from outlay_collector.store.schema import CALLS
from outlay_collector.store.segments import Segment


class Shape(NamedTuple):
    """What of segments a statement depends on: whether some or all of them leave out calls by their ids."""

    is_postgres: bool
    some_after: bool
    all_after: bool


def shape_of(connection: Connection, segments: Sequence[Segment]) -> Shape:
    after = [segment.after_id > 0 for segment in segments]
    return Shape(connection.dialect.name == "postgresql", any(after), all(after))


def select_within(
    shape: Shape, columns: Sequence[ColumnElement[Any]], conditions: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    """Those columns of the calls in some segments that meet the conditions, after the segment's `bucket`. Executed with
    `places_of` the segments."""
    parts, at = _parts(), CALLS.c.started_at_ns
    within = and_(at >= parts.c.start_ns, at < parts.c.end_ns, *conditions)
    if shape.some_after:
        within = and_(within, CALLS.c.id + 0 > parts.c.after_id)  # a sum, so that no database looks for it by id
    if not shape.is_postgres:
        return select(parts.c.bucket, *columns).select_from(parts.join(CALLS, within))
    if shape.all_after:
        least = bindparam("least", type_=BigInteger, literal_execute=True)
        within = and_(within, CALLS.c.id > least)  # in its text: so it knows how few these are
    # Segment by segment: it would rather look through the index of all calls for those that meet the conditions
    calls = select(*_used_in(columns)).where(within).offset(0).lateral()
    seen = ClauseAdapter(calls)
    return select(parts.c.bucket, *map(seen.traverse, columns)).select_from(parts.join(calls, true()))


def places_of(segments: Sequence[Segment]) -> dict[str, Any]:
    """The parameters that say where the segments are."""
    rows = ", ".join(f"({s.bucket}, {s.start_ns}, {s.end_ns}, {s.after_id})" for s in segments)
    return {"segments": rows, "least": min((segment.after_id for segment in segments), default=0)}


class _Verbatim(UserDefinedType[str]):
    """Goes into the text as it is."""

    cache_ok = True

    def literal_processor(self, dialect: Dialect) -> Callable[[str], str]:
        return str


def _parts() -> CTE:
    """The segments as a table."""
    names = "column1 AS bucket, column2 AS start_ns, column3 AS end_ns, column4 AS after_id"
    rows = bindparam("segments", type_=_Verbatim, literal_execute=True)
    table = text(f"SELECT {names} FROM (VALUES :segments) AS segments").bindparams(rows)
    return table.columns(bucket=Integer, start_ns=BigInteger, end_ns=BigInteger, after_id=BigInteger).cte("parts")


def _used_in(columns: Sequence[ColumnElement[Any]]) -> list[Column[Any]]:
    """The columns of a call that those are made of, and its id: of all fifty, SQLAlchemy makes copies that take longer
    than the question."""
    found = (each for column in columns for each in iterate(column) if isinstance(each, Column))
    return [CALLS.c.id, *dict.fromkeys(each for each in found if each is not CALLS.c.id)]
