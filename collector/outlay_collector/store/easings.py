"""What holds for a while in place of a budget's definition: no block at all, or another limit.

Apart from the definitions, so that a budget of outlay.toml can be eased at once and a restart does not end it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from outlay.budgets.budget import Budget, Limit
from sqlalchemy import BigInteger, Connection, delete, or_, select
from sqlmodel import Field, SQLModel


class EasingRow(SQLModel, table=True):
    """Of one budget. Without a `limit_amount` the budget is paused; without an end it holds until it is ended."""

    __tablename__ = "budget_easings"

    budget: str = Field(primary_key=True)
    limit_amount: int | None = Field(default=None, sa_type=BigInteger)
    since_ns: int = Field(sa_type=BigInteger)
    until_ns: int | None = Field(default=None, sa_type=BigInteger)


EASINGS: Final = SQLModel.metadata.tables["budget_easings"]


@dataclass(frozen=True, slots=True)
class Easing:
    """`limit_amount` None: paused. `until_ns` None: until it is ended."""

    limit_amount: int | None
    since_ns: int
    until_ns: int | None

    @property
    def is_pause(self) -> bool:
        return self.limit_amount is None

    def applied_to(self, budget: Budget) -> Budget:
        """A paused budget goes on telling and holds nothing back."""
        if self.limit_amount is None:
            return replace(budget, on_limit="alert")
        return replace(budget, limit=Limit(budget.limit.unit, self.limit_amount))


def easings(connection: Connection, now_ns: int) -> dict[str, Easing]:
    """Those that hold now, by budget."""
    holds = or_(EASINGS.c.until_ns.is_(None), EASINGS.c.until_ns > now_ns)
    found = connection.execute(select(EASINGS).where(holds))
    return {row.budget: Easing(row.limit_amount, row.since_ns, row.until_ns) for row in found}


def ease(connection: Connection, budget: str, easing: Easing) -> None:
    """In place of whatever eased it before."""
    end_easing(connection, budget)
    row = {"limit_amount": easing.limit_amount, "since_ns": easing.since_ns, "until_ns": easing.until_ns}
    connection.execute(EASINGS.insert().values(budget=budget, **row))


def end_easing(connection: Connection, budget: str) -> None:
    connection.execute(delete(EASINGS).where(EASINGS.c.budget == budget))
