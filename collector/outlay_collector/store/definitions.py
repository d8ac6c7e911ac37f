"""Which budgets there are. Those of outlay.toml follow the file; those set by API or command stay until removed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from outlay.budgets.budget import Budget
from outlay.budgets.definition import read_budget
from sqlalchemy import Connection, Engine, delete, select

from outlay_collector.store.budgets import BUDGETS

Origin = Literal["file", "api"]
_SOURCE: Final = "the database"


@dataclass(frozen=True, slots=True)
class Definition:
    budget: Budget
    origin: Origin


def definitions(connection: Connection) -> list[Definition]:
    """All of them, by name."""
    found = connection.execute(select(BUDGETS.c.entry, BUDGETS.c.origin).order_by(BUDGETS.c.name))
    return [Definition(read_budget(entry, _SOURCE), origin) for entry, origin in found]


def find_definition(connection: Connection, name: str) -> Definition | None:
    found = connection.execute(select(BUDGETS.c.entry, BUDGETS.c.origin).where(BUDGETS.c.name == name)).first()
    return None if found is None else Definition(read_budget(found.entry, _SOURCE), found.origin)


def put_definition(connection: Connection, budget: Budget, origin: Origin, now_ns: int) -> None:
    """Set it, new or changed. What was spent stays spent: it is a question to the calls."""
    connection.execute(delete(BUDGETS).where(BUDGETS.c.name == budget.name))
    row = {"name": budget.name, "entry": budget.entry(), "origin": origin, "changed_at_ns": now_ns}
    connection.execute(BUDGETS.insert().values(row))


def remove_definition(connection: Connection, name: str) -> bool:
    """False where there was none. Its leases run out by themselves."""
    return connection.execute(delete(BUDGETS).where(BUDGETS.c.name == name)).rowcount > 0


def follow_file(engine: Engine, budgets: Iterable[Budget], now_ns: int) -> None:
    """Make the definitions that come from outlay.toml equal to those in it. One set by API under a name the file now
    uses becomes the file's."""
    with engine.begin() as connection:
        connection.execute(delete(BUDGETS).where(BUDGETS.c.origin == "file"))
        for budget in budgets:
            put_definition(connection, budget, "file", now_ns)
