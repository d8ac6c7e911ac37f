"""Two databases of the same calls, one of them summed up and one never: their answers have to be equal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from outlay_collector.store.query import CallsQuery, Percentiles, UsageQuery, UsageRow
from outlay_collector.store.sql import SqlStore
from sqlalchemy import Engine, delete
from sqlmodel import SQLModel

Ledgers = tuple[Engine, Engine]
_SPEND: Final = ("calls", "unpriced_calls", "cost_nano_usd")


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
        assert_no_other_where_fewer_are_wanted(one, query)
        listed = CallsQuery(limit=3, from_ns=query.from_ns, to_ns=query.to_ns, filters=query.filters)
        assert [each["bill_key"] for each in one.calls(listed)] == [each["bill_key"] for each in other.calls(listed)]


def assert_no_other_where_fewer_are_wanted(store: SqlStore, query: UsageQuery) -> None:
    """The same rows, with the same of what is wanted and nothing of what must be read besides."""
    whole, some = store.usage(query), store.usage(replace(query, measures=_SPEND))
    assert [_told(row) for row in some] == [_told(row) for row in whole]
    assert all(row.input_tokens is None and row.latency_ms == Percentiles() for row in some)


def _told(row: UsageRow) -> tuple[object, ...]:
    return row.bucket, row.group, *(getattr(row, measure) for measure in _SPEND)
