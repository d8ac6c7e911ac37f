"""Two databases of the same calls, one of them summed up and one never: their answers have to be equal."""

from __future__ import annotations

from collections.abc import Iterable

from outlay_collector.store.query import CallsQuery, UsageQuery
from outlay_collector.store.sql import SqlStore
from sqlalchemy import Engine, delete
from sqlmodel import SQLModel

Ledgers = tuple[Engine, Engine]


def emptied(ledgers: Ledgers) -> Ledgers:
    """Both, without a call."""
    for engine in ledgers:
        with engine.begin() as connection:
            for name in ("rollups", "rollup_periods", "reports", "calls"):
                connection.execute(delete(SQLModel.metadata.tables[name]))
    return ledgers


def assert_equal_answers(ledgers: Ledgers, asked: Iterable[UsageQuery]) -> None:
    one, other = map(SqlStore, ledgers)
    for query in asked:
        assert one.usage(query) == other.usage(query)
        listed = CallsQuery(limit=3, from_ns=query.from_ns, to_ns=query.to_ns, filters=query.filters)
        assert [each["bill_key"] for each in one.calls(listed)] == [each["bill_key"] for each in other.calls(listed)]
