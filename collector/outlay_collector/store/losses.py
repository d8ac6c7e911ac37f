"""Calls that applications made and could not deliver, as their processes tell it.

A row holds what one process has lost so far for one reason. The processes tell the sum from their beginning, so what is
told twice, late, or by an heir of a dead process counts once. Rows are kept for good: they say which bills are not
whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Index, Row, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLoss:
    """`calls`: how many one process, the `holder`, has lost for that reason since it began."""

    holder: str
    reason: str
    service: str | None
    environment: str | None
    calls: int


class ClientLossRow(SQLModel, table=True):
    """`last_at_ns` is when the count was last found to have grown."""

    __tablename__ = "client_losses"
    __table_args__ = (Index("ix_client_losses_last_at", "last_at_ns"),)

    holder: str = Field(primary_key=True)
    reason: str = Field(primary_key=True)
    service: str | None = None
    environment: str | None = None
    calls: int = Field(sa_type=BigInteger)
    first_at_ns: int = Field(sa_type=BigInteger)
    last_at_ns: int = Field(sa_type=BigInteger)


LOSSES: Final = SQLModel.metadata.tables["client_losses"]


def note_losses(connection: Connection, losses: Iterable[ClientLoss], now_ns: int) -> None:
    """Keep the highest count of each. Safe to repeat."""
    rows = [{**asdict(loss), "first_at_ns": now_ns, "last_at_ns": now_ns} for loss in losses]
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement: Any = dialect.insert(LOSSES)
    said = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=["holder", "reason"],
        set_={"calls": said.calls, "last_at_ns": said.last_at_ns},
        where=said.calls > LOSSES.c.calls,
    )
    for row in sorted(rows, key=lambda row: (row["holder"], row["reason"])):  # in one order: no deadlock between two
        connection.execute(statement, row)


def read_losses(connection: Connection, from_ns: int, to_ns: int, limit: int) -> Sequence[Row[Any]]:
    """Of processes that last lost a call in that window, the latest first."""
    within = LOSSES.c.last_at_ns >= from_ns, LOSSES.c.last_at_ns < to_ns
    latest_first = LOSSES.c.last_at_ns.desc(), LOSSES.c.holder, LOSSES.c.reason
    return connection.execute(select(LOSSES).where(*within).order_by(*latest_first).limit(limit)).all()


def lost_calls(connection: Connection, from_ns: int = 0, to_ns: int = 2**63 - 1) -> dict[str, int]:
    """By reason, of processes that last lost a call in that window."""
    within = LOSSES.c.last_at_ns >= from_ns, LOSSES.c.last_at_ns < to_ns
    sums = select(LOSSES.c.reason, func.sum(LOSSES.c.calls)).where(*within).group_by(LOSSES.c.reason)
    return {reason: int(calls) for reason, calls in connection.execute(sums.order_by(LOSSES.c.reason))}
