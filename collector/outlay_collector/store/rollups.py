"""Sums of calls by period, so that a question about a month does not read a month of calls.

A period is a quarter of an hour, into which the days of every time zone fall whole, an hour or a day of UTC. Each is
summed up by all dimensions together, by none, and by each alone and by environment: most questions are about one
dimension, and what they read then grows with the values of that one and not with the calls. A period is stale from
the moment a call in it is written or changed, in that call's own transaction, until it is summed up again; a stale
period is read from its calls. So figures are exact at any moment, and nothing has to keep pace with the writer. A
period that is not listed has no calls.

Dimensions with as many values as there are users (user, session, tags) are not summed up by: questions about them read
the calls.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    case,
    false,
    func,
    select,
    text,
    tuple_,
    update,
)
from sqlmodel import Field, SQLModel

from outlay_collector.store.schema import CALLS, BigId

QUARTER_NS: Final = 15 * 60 * 1_000_000_000
HOUR_NS: Final = 4 * QUARTER_NS
DAY_NS: Final = 24 * HOUR_NS
LENGTHS_NS: Final = (QUARTER_NS, HOUR_NS, DAY_NS)
DIMENSIONS: Final = ("service", "environment", "provider", "model", "operation", "feature", "tenant", "status")
_WHERE: Final = "environment"
GROUPINGS: Final = (
    DIMENSIONS,
    (),
    *((name,) for name in DIMENSIONS),
    *((_WHERE, name) for name in DIMENSIONS if name != _WHERE),
)
"""What is summed up by; a rollup names the place of its grouping here. Whoever asks of one thing mostly asks for all
environments or for one of them."""
LATENCY: Final = 0
TTFT: Final = 1

_AUTH_FAILURES: Final = (401, 403)
_LOCK: Final = 0x6F75746C6101


class PeriodRow(SQLModel, table=True):
    """A period that has calls."""

    __tablename__ = "rollup_periods"

    length_ns: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    start_ns: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    stale: bool
    closed: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    """Its calls may be gone, so it is never summed up again: `store.closing`."""


class RollupRow(SQLModel, table=True):
    """The calls of one period and group. Sums nobody reported are NULL, dimensions not grouped by as well."""

    __tablename__ = "rollups"
    __table_args__ = (Index("ix_rollups_period", "length_ns", "grouping", "start_ns"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    length_ns: int = Field(sa_type=BigInteger)
    start_ns: int = Field(sa_type=BigInteger)
    grouping: int
    service: str | None = None
    environment: str | None = None
    provider: str | None = None
    model: str | None = None
    operation: str | None = None
    feature: str | None = None
    tenant: str | None = None
    status: str | None = None
    calls: int = Field(sa_type=BigInteger)
    errors: int = Field(sa_type=BigInteger)
    auth_failures: int = Field(sa_type=BigInteger)
    rate_limited: int = Field(sa_type=BigInteger)
    retries: int = Field(sa_type=BigInteger)
    input_tokens: int | None = Field(default=None, sa_type=BigInteger)
    output_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cache_read_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cache_write_tokens: int | None = Field(default=None, sa_type=BigInteger)
    reasoning_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cost_nano_usd: int | None = Field(default=None, sa_type=BigInteger)
    avoided_nano_usd: int | None = Field(default=None, sa_type=BigInteger)
    unpriced_calls: int = Field(sa_type=BigInteger)


class BinRow(SQLModel, table=True):
    """How many calls of a rollup fell into one bin of `store.bins`. `kind` is `LATENCY` or `TTFT`."""

    __tablename__ = "rollup_bins"

    rollup_id: int = Field(sa_column=Column(BigId, ForeignKey("rollups.id", ondelete="CASCADE"), primary_key=True))
    kind: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    bin: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    calls: int = Field(sa_type=BigInteger)


PERIODS: Final = SQLModel.metadata.tables["rollup_periods"]
ROLLUPS: Final = SQLModel.metadata.tables["rollups"]
BINS: Final = SQLModel.metadata.tables["rollup_bins"]

_SUMS: Final = (
    "rate_limited",
    "retries",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_nano_usd",
    "avoided_nano_usd",
)
MEASURES: Final = ("calls", "errors", "auth_failures", "unpriced_calls", *_SUMS)


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def measures_of_calls() -> list[ColumnElement[Any]]:
    """The sums over rows of `calls`, in the order and under the names of `MEASURES`."""
    counted = (
        func.count(),
        _count(CALLS.c.status == "error"),
        _count(CALLS.c.http_status.in_(_AUTH_FAILURES)),
        _count(CALLS.c.cost_nano_usd.is_(None)),
    )
    return [
        *(count.label(name) for count, name in zip(counted, MEASURES, strict=False)),
        *(func.sum(CALLS.c[name]).label(name) for name in _SUMS),
    ]


def measures_of_rollups() -> list[ColumnElement[Any]]:
    """The same over rows of `rollups`."""
    return [func.sum(ROLLUPS.c[name]).label(name) for name in MEASURES]


def grouping_for(names: Collection[str]) -> int | None:
    """The place of the smallest grouping that has all of these; None where no rollup does."""
    wanted = set(names)
    places = [place for place, grouping in enumerate(GROUPINGS) if wanted <= set(grouping)]
    return min(places, key=lambda place: len(GROUPINGS[place])) if places else None


def mark_stale(connection: Connection, times_ns: Iterable[int]) -> None:
    """Say that calls of these times are written or changed in this transaction. Whoever touches `calls` must."""
    share_periods(connection)
    touched = {(length, at - at % length) for at in times_ns for length in LENGTHS_NS}
    for some in _chunks(sorted(touched)):
        these = tuple_(PERIODS.c.length_ns, PERIODS.c.start_ns).in_(some)
        known = {
            (row.length_ns, row.start_ns): row.stale or row.closed
            for row in connection.execute(select(PERIODS).where(these))
        }
        clean = [period for period, settled in known.items() if not settled]
        if clean:
            these = tuple_(PERIODS.c.length_ns, PERIODS.c.start_ns).in_(clean)
            connection.execute(update(PERIODS).where(these).values(stale=True))
        new = [{"length": length, "start": start} for length, start in some if (length, start) not in known]
        if new:
            # Another collector may list it at the same moment.
            connection.execute(
                text(
                    "INSERT INTO rollup_periods (length_ns, start_ns, stale) VALUES (:length, :start, true) "
                    "ON CONFLICT DO NOTHING"
                ),
                new,
            )


def share_periods(connection: Connection) -> None:
    """Until the end of this transaction no period is summed up or closed. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock_shared(_LOCK)))


def hold_periods(connection: Connection) -> None:
    """Until the end of this transaction no other writer is between its calls and its mark."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def plus(one: int | None, other: int | None) -> int | None:
    """The sum of what is known."""
    if one is None or other is None:
        return one if other is None else other
    return one + other


def _chunks(periods: list[tuple[int, int]]) -> Iterable[list[tuple[int, int]]]:
    return (periods[place : place + 200] for place in range(0, len(periods), 200))
