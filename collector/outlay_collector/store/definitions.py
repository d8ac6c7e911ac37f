"""Which budgets there are. Those of outlay.toml follow the file; those set by API or command stay until removed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from outlay.budgets.budget import Budget
from outlay.budgets.definition import read_budget
from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from outlay_collector.store.budgets import BUDGETS
from outlay_collector.store.easings import Easing, easings, end_easing

Origin = Literal["file", "api"]
_SOURCE: Final = "the database"


@dataclass(frozen=True, slots=True)
class Definition:
    """`budget` is what was written; what holds now is `in_force`."""

    budget: Budget
    origin: Origin
    easing: Easing | None = None

    @property
    def in_force(self) -> Budget:
        return self.budget if self.easing is None else self.easing.applied_to(self.budget)


def definitions(connection: Connection, now_ns: int) -> list[Definition]:
    """All of them, by name."""
    eased = easings(connection, now_ns)
    found = connection.execute(select(BUDGETS.c.entry, BUDGETS.c.origin).order_by(BUDGETS.c.name))
    read = ((read_budget(entry, _SOURCE), origin) for entry, origin in found)
    return [Definition(budget, origin, eased.get(budget.name)) for budget, origin in read]


def find_definition(connection: Connection, name: str, now_ns: int) -> Definition | None:
    found = connection.execute(select(BUDGETS.c.entry, BUDGETS.c.origin).where(BUDGETS.c.name == name)).first()
    if found is None:
        return None
    return Definition(read_budget(found.entry, _SOURCE), found.origin, easings(connection, now_ns).get(name))


def put_definition(connection: Connection, budget: Budget, origin: Origin, now_ns: int) -> None:
    """Set it, new or changed. What was spent stays spent: it is a question to the calls."""
    said = {"entry": budget.entry(), "origin": origin, "changed_at_ns": now_ns}
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(BUDGETS).values({"name": budget.name, **said})
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=said))


def remove_definition(connection: Connection, name: str) -> bool:
    """False where there was none. Its leases run out by themselves."""
    end_easing(connection, name)
    return connection.execute(delete(BUDGETS).where(BUDGETS.c.name == name)).rowcount > 0


def follow_file(engine: Engine, budgets: Iterable[Budget], now_ns: int) -> None:
    """Make the definitions that come from outlay.toml equal to those in it. One set by API under a name the file now
    uses becomes the file's."""
    with engine.begin() as connection:
        connection.execute(delete(BUDGETS).where(BUDGETS.c.origin == "file"))
        for budget in sorted(budgets, key=lambda budget: budget.name):  # in one order: no deadlock between two
            put_definition(connection, budget, "file", now_ns)
