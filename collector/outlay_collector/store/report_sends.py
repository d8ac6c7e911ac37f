"""Which report was sent to whom, of which period: the record that makes it once, whoever and however often looks.

A row is made when the period is over and claimed before it is sent. A process that dies in between lets go when its
claim runs out, and another sends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from sqlalchemy import BigInteger, Column, ColumnElement, Connection, Row, and_, or_, select, update
from sqlmodel import Field, SQLModel

from outlay_collector.store.inserting import insert_new

Status = Literal["pending", "delivered", "failed"]


class ReportSendRow(SQLModel, table=True):
    """One period of one report for one channel. `at_ns`: when it is due while it is pending, else when it ended."""

    __tablename__ = "report_sends"

    report: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    starts_at_ns: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    status: str
    attempts: int = 0
    created_at_ns: int = Field(sa_type=BigInteger)
    at_ns: int = Field(sa_type=BigInteger)
    held_until_at_ns: int | None = Field(default=None, sa_type=BigInteger)
    error: str | None = None


SENDS: Final = SQLModel.metadata.tables["report_sends"]


def ask(connection: Connection, report: str, channels: Sequence[str], starts_at_ns: int, now_ns: int) -> None:
    """Have the period sent to those channels; nothing where that was asked before."""
    row = {"report": report, "starts_at_ns": starts_at_ns, "status": "pending", "attempts": 0}
    times = {"created_at_ns": now_ns, "at_ns": now_ns}
    insert_new(connection, SENDS, [{**row, **times, "channel": channel} for channel in channels])


def claim(
    connection: Connection, report: str, channels: Sequence[str], starts_at_ns: int, now_ns: int, until_ns: int
) -> list[Row[Any]]:
    """Those of them that are due, held for this process until then; nobody else is given them meanwhile."""
    held = SENDS.c.held_until_at_ns
    due = and_(
        SENDS.c.report == report,
        SENDS.c.channel.in_(channels),
        SENDS.c.starts_at_ns == starts_at_ns,
        SENDS.c.status == "pending",
        SENDS.c.at_ns <= now_ns,
        or_(held.is_(None), held <= now_ns),
    )
    return list(connection.execute(update(SENDS).where(due).values(held_until_at_ns=until_ns).returning(SENDS)))


def record(connection: Connection, row: Row[Any], status: Status, at_ns: int, error: str | None = None) -> None:
    """What became of a try."""
    values = {"status": status, "attempts": row.attempts + 1, "at_ns": at_ns, "error": error}
    pending = and_(_is(row), SENDS.c.status == "pending")
    connection.execute(update(SENDS).where(pending).values(**values, held_until_at_ns=None))


def last_sends(connection: Connection, report: str, limit: int = 10) -> Sequence[Row[Any]]:
    """The latest period first."""
    wanted = select(SENDS).where(SENDS.c.report == report)
    return connection.execute(wanted.order_by(SENDS.c.starts_at_ns.desc(), SENDS.c.channel).limit(limit)).all()


def _is(row: Row[Any]) -> ColumnElement[bool]:
    return and_(SENDS.c.report == row.report, SENDS.c.channel == row.channel, SENDS.c.starts_at_ns == row.starts_at_ns)
