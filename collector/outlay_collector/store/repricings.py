"""Stored calls and their cost, for pricing history again: read in pages, written back with what it was before.

A page is one transaction: its calls, their reports' own costs, what each call cost before and the run's totals change
together or not at all. Sums and budgets are questions about calls, so they follow by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, ForeignKey, Row, bindparam, insert, select, update
from sqlmodel import Field, SQLModel

from outlay_collector.store.marking import mark_stale, share_periods
from outlay_collector.store.schema import CALLS, REPORTS, BigId

PAGE: Final = 500
COST_COLUMNS: Final = ("cost_nano_usd", "cost_status", "cost_reason", "cost_lines", "price_id")


class RepricingRow(SQLModel, table=True):
    """One time history was priced again. The totals grow page by page: a run that was cut says how far it came."""

    __tablename__ = "repricings"

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    at_ns: int = Field(sa_type=BigInteger)
    from_ns: int = Field(sa_type=BigInteger)
    to_ns: int = Field(sa_type=BigInteger)
    model: str | None = None
    """Only calls of this model; all where NULL."""
    book: str
    """When the price book was checked, and how many entries of the user's it had on top."""
    calls: int = Field(default=0, sa_type=BigInteger)
    changed: int = Field(default=0, sa_type=BigInteger)
    before_nano_usd: int = Field(default=0, sa_type=BigInteger)
    after_nano_usd: int = Field(default=0, sa_type=BigInteger)


class RepricedCallRow(SQLModel, table=True):
    """What one run changed of one call. The earliest row of a call has its first cost."""

    __tablename__ = "repriced_calls"

    call_id: int = Field(sa_column=Column(BigId, ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True))
    repricing_id: int = Field(sa_column=Column(BigId, ForeignKey("repricings.id"), primary_key=True))
    before_nano_usd: int | None = Field(default=None, sa_type=BigInteger)
    before_status: str
    before_price_id: str | None = None
    after_nano_usd: int | None = Field(default=None, sa_type=BigInteger)
    after_status: str
    after_price_id: str | None = None


REPRICINGS: Final = SQLModel.metadata.tables["repricings"]
REPRICED_CALLS: Final = SQLModel.metadata.tables["repriced_calls"]


@dataclass(frozen=True, slots=True)
class Change:
    """A call's row as it stands, and the columns of its cost as they should be."""

    call: Row[Any]
    columns: Mapping[str, Any]


def read_page(
    connection: Connection, from_ns: int, to_ns: int, model: str | None, after_id: int, *, hold: bool
) -> Sequence[Row[Any]]:
    """The next calls of a window that have counts to price, by id. `hold`: nobody else changes them until this
    transaction ends. What is held, and then marked, is in the order that writers of calls have (`turns.hold_calls`)."""
    wanted = (
        select(CALLS)
        .where(CALLS.c.started_at_ns >= from_ns, CALLS.c.started_at_ns < to_ns, CALLS.c.id > after_id)
        .where(CALLS.c.usage.is_not(None))
        .order_by(CALLS.c.id)
        .limit(PAGE)
    )
    if hold:
        share_periods(connection)
        wanted = wanted.with_for_update()
    return connection.execute(wanted if model is None else wanted.where(CALLS.c.model == model)).all()


def read_bodies(connection: Connection, call_ids: Sequence[int]) -> Sequence[Row[Any]]:
    """What the reports of those calls said, of calls that several reports were made into."""
    wanted = select(REPORTS)
    return connection.execute(wanted.where(REPORTS.c.call_id.in_(call_ids), REPORTS.c.body.is_not(None))).all()


def begin(connection: Connection, row: RepricingRow) -> int:
    """The id of a new run."""
    made = insert(REPRICINGS).values(row.model_dump(exclude={"id"})).returning(REPRICINGS.c.id)
    return int(connection.execute(made).scalar_one())


def write_page(connection: Connection, run: int, calls: int, changes: Sequence[Change]) -> None:
    """The changes of one page and the run's totals."""
    first = min((change.call.id for change in changes), default=None)
    mark_stale(connection, {change.call.started_at_ns for change in changes}, first)
    for change in changes:
        connection.execute(update(CALLS).where(CALLS.c.id == change.call.id).values(**change.columns))
    rows = [
        {
            "call_id": change.call.id,
            "repricing_id": run,
            "before_nano_usd": change.call.cost_nano_usd,
            "before_status": change.call.cost_status,
            "before_price_id": change.call.price_id,
            "after_nano_usd": change.columns["cost_nano_usd"],
            "after_status": change.columns["cost_status"],
            "after_price_id": change.columns["price_id"],
        }
        for change in changes
    ]
    if rows:
        connection.execute(insert(REPRICED_CALLS), rows)
    totals = {
        "calls": REPRICINGS.c.calls + calls,
        "changed": REPRICINGS.c.changed + len(changes),
        "before_nano_usd": REPRICINGS.c.before_nano_usd + sum(row["before_nano_usd"] or 0 for row in rows),
        "after_nano_usd": REPRICINGS.c.after_nano_usd + sum(row["after_nano_usd"] or 0 for row in rows),
    }
    connection.execute(update(REPRICINGS).where(REPRICINGS.c.id == run).values(totals))


def write_bodies(connection: Connection, bodies: Sequence[tuple[str, str, Mapping[str, Any]]]) -> None:
    """What reports say from now on, as (trace id, span id, body): a late report would bring an old cost back."""
    if bodies:
        this = (REPORTS.c.trace_id == bindparam("of_trace")) & (REPORTS.c.span_id == bindparam("of_span"))
        rows = [{"of_trace": trace_id, "of_span": span_id, "said": dict(body)} for trace_id, span_id, body in bodies]
        connection.execute(update(REPORTS).where(this).values(body=bindparam("said")), rows)


def read_runs(connection: Connection, limit: int = 100) -> Sequence[Row[Any]]:
    """The latest runs first."""
    return connection.execute(select(REPRICINGS).order_by(REPRICINGS.c.id.desc()).limit(limit)).all()


def read_first_cost(connection: Connection, call_id: int) -> Row[Any] | None:
    """What a call cost before it was first repriced; None where it never was."""
    wanted = select(REPRICED_CALLS).where(REPRICED_CALLS.c.call_id == call_id)
    return connection.execute(wanted.order_by(REPRICED_CALLS.c.repricing_id).limit(1)).one_or_none()
