"""Sums of calls by period, so that a question about a month does not read a month of calls.

A period is a quarter of an hour, into which the days of every time zone fall whole, or a day of UTC. It is stale from
the moment a call in it is written or changed, in that call's own transaction, until it is summed up again; a stale
period is read from its calls. So figures are exact at any moment, and nothing has to keep pace with the writer. A
period that is not listed has no calls.

Dimensions with as many values as there are users (user, session, tags) are not summed up by: questions about them read
the calls.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    Select,
    case,
    delete,
    false,
    func,
    insert,
    literal,
    select,
    text,
    tuple_,
    update,
)
from sqlmodel import Field, SQLModel

from outlay_collector.store.ids import take_ids
from outlay_collector.store.schema import CALLS, BigId

QUARTER_NS: Final = 15 * 60 * 1_000_000_000
DAY_NS: Final = 24 * 3600 * 1_000_000_000
DIMENSIONS: Final = ("service", "environment", "provider", "model", "operation", "feature", "tenant", "status")
LATENCY: Final = 0
TTFT: Final = 1

_SETTLED_NS: Final = 60 * 1_000_000_000
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
    """The calls of one period with the same dimensions. Sums nobody reported are NULL."""

    __tablename__ = "rollups"
    __table_args__ = (Index("ix_rollups_period", "length_ns", "start_ns"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    length_ns: int = Field(sa_type=BigInteger)
    start_ns: int = Field(sa_type=BigInteger)
    service: str | None = None
    environment: str | None = None
    provider: str
    model: str | None = None
    operation: str
    feature: str | None = None
    tenant: str | None = None
    status: str
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


def mark_stale(connection: Connection, times_ns: Iterable[int]) -> None:
    """Say that calls of these times are written or changed in this transaction. Whoever touches `calls` must."""
    share_periods(connection)
    touched = {(length, at - at % length) for at in times_ns for length in (QUARTER_NS, DAY_NS)}
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


def next_stale(connection: Connection, now_ns: int) -> tuple[int, int] | None:
    """The earliest period to sum up, as length and start: quarters first, then days whose quarters all are."""
    over = PERIODS.c.start_ns + PERIODS.c.length_ns < now_ns - _SETTLED_NS
    stale = select(PERIODS.c.length_ns, PERIODS.c.start_ns).where(PERIODS.c.stale, over)
    found = connection.execute(stale.order_by(PERIODS.c.length_ns, PERIODS.c.start_ns).limit(1)).one_or_none()
    return None if found is None else (found.length_ns, found.start_ns)


def sum_up(connection: Connection, length_ns: int, start_ns: int) -> None:
    """Sum one period up and take it off the stale ones. A day is the sum of its quarters."""
    hold_periods(connection)
    period = (ROLLUPS.c.length_ns == length_ns) & (ROLLUPS.c.start_ns == start_ns)
    connection.execute(delete(BINS).where(BINS.c.rollup_id.in_(select(ROLLUPS.c.id).where(period))))
    connection.execute(delete(ROLLUPS).where(period))
    sums, bins = _from_calls(start_ns) if length_ns == QUARTER_NS else _from_quarters(start_ns)
    groups = connection.execute(sums).mappings().all()
    ids = {
        tuple(group[name] for name in DIMENSIONS): rollup_id
        for group, rollup_id in zip(groups, take_ids(connection, "rollups", len(groups)), strict=True)
    }
    rollups = [
        {"id": rollup_id, "length_ns": length_ns, "start_ns": start_ns, **group}
        for group, rollup_id in zip(groups, ids.values(), strict=True)
    ]
    if rollups:
        connection.execute(insert(ROLLUPS), rollups)
    rows = [
        {"rollup_id": ids[tuple(group)], "kind": kind, "bin": bin_, "calls": int(calls)}
        for kind, histogram in enumerate(bins)
        for *group, bin_, calls in connection.execute(histogram)
    ]
    if rows:
        connection.execute(insert(BINS), rows)
    this = (PERIODS.c.length_ns == length_ns) & (PERIODS.c.start_ns == start_ns)
    connection.execute(update(PERIODS).where(this).values(stale=False))


def _from_calls(start_ns: int) -> tuple[Select[Any], list[Select[Any]]]:
    dimensions = [CALLS.c[name] for name in DIMENSIONS]
    within = (CALLS.c.started_at_ns >= start_ns) & (CALLS.c.started_at_ns < start_ns + QUARTER_NS)
    bins = [
        select(*dimensions, bin_, func.count()).where(within, bin_.is_not(None)).group_by(*dimensions, bin_)
        for bin_ in (CALLS.c.latency_bin, CALLS.c.ttft_bin)
    ]
    return select(*dimensions, *measures_of_calls()).where(within).group_by(*dimensions), bins


def _from_quarters(start_ns: int) -> tuple[Select[Any], list[Select[Any]]]:
    dimensions = [ROLLUPS.c[name] for name in DIMENSIONS]
    within = (
        (ROLLUPS.c.length_ns == literal(QUARTER_NS))
        & (ROLLUPS.c.start_ns >= start_ns)
        & (ROLLUPS.c.start_ns < start_ns + DAY_NS)
    )
    bins = [
        select(*dimensions, BINS.c.bin, func.sum(BINS.c.calls))
        .join_from(ROLLUPS, BINS, BINS.c.rollup_id == ROLLUPS.c.id)
        .where(within, BINS.c.kind == kind)
        .group_by(*dimensions, BINS.c.bin)
        for kind in (LATENCY, TTFT)
    ]
    return select(*dimensions, *measures_of_rollups()).where(within).group_by(*dimensions), bins


def _chunks(periods: list[tuple[int, int]]) -> Iterable[list[tuple[int, int]]]:
    return (periods[place : place + 200] for place in range(0, len(periods), 200))
