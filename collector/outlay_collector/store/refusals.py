"""Calls that budgets held back, as the processes that held them back tell it.

A row stands for the calls of one kind within about a second, so that an application that tries on and on does not fill
the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from outlay.budgets.budget import Scope, read_scope_key, scope_key
from outlay.budgets.lease import Refusal
from outlay.budgets.period import Window
from sqlalchemy import BigInteger, Connection, Index, Row, func, select
from sqlmodel import Field, SQLModel

from outlay_collector.periods import to_ns
from outlay_collector.store.inserting import insert_new


class RefusalRow(SQLModel, table=True):
    """`avoided_nano_usd` is what the calls would have cost at most, NULL where their model has no price."""

    __tablename__ = "budget_refusals"
    __table_args__ = (
        Index("ix_budget_refusals_budget", "budget", "at_ns"),
        Index("ix_budget_refusals_at", "at_ns"),
    )

    id: str = Field(primary_key=True)
    budget: str
    scope: str
    at_ns: int = Field(sa_type=BigInteger)
    reason: str
    holder: str
    provider: str
    model: str | None = None
    service: str | None = None
    feature: str | None = None
    user: str | None = None
    calls: int = Field(sa_type=BigInteger)
    avoided_nano_usd: int | None = Field(default=None, sa_type=BigInteger)


REFUSALS: Final = SQLModel.metadata.tables["budget_refusals"]


@dataclass(frozen=True, slots=True)
class HeldBack:
    """How many calls of one scope were held back, and what they would have cost at most as far as that is known."""

    calls: int = 0
    avoided_nano_usd: int | None = None


def note_refusals(connection: Connection, holder: str, refusals: Sequence[Refusal], now_ns: int) -> None:
    """Write those that are new. A process whose clock is ahead is not believed."""
    rows = [
        {**asdict(each), "scope": scope_key(tuple(each.scope)), "holder": holder, "at_ns": min(each.at_ns, now_ns)}
        for each in refusals
    ]
    insert_new(connection, REFUSALS, rows)


def held_back(connection: Connection, budget: str, window: Window) -> dict[Scope, HeldBack]:
    """By scope, what the budget held back in that window."""
    within = [REFUSALS.c.budget == budget, REFUSALS.c.at_ns >= to_ns(window.start)]
    if window.end is not None:
        within.append(REFUSALS.c.at_ns < to_ns(window.end))
    sums = func.sum(REFUSALS.c.calls), func.sum(REFUSALS.c.avoided_nano_usd)
    found = connection.execute(select(REFUSALS.c.scope, *sums).where(*within).group_by(REFUSALS.c.scope))
    return {
        read_scope_key(key): HeldBack(int(calls), None if avoided is None else int(avoided))
        for key, calls, avoided in found
    }


def read_refusals(
    connection: Connection, from_ns: int, to_ns: int, budgets: Iterable[str], limit: int
) -> Sequence[Row[Any]]:
    """The latest first. No `budgets`: those of all."""
    conditions = [REFUSALS.c.at_ns >= from_ns, REFUSALS.c.at_ns < to_ns]
    if names := list(budgets):
        conditions.append(REFUSALS.c.budget.in_(names))
    latest_first = REFUSALS.c.at_ns.desc(), REFUSALS.c.id
    return connection.execute(select(REFUSALS).where(*conditions).order_by(*latest_first).limit(limit)).all()
