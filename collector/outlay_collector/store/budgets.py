"""The tables of budgets, and what they say stands against a limit.

Money moves one way: it is granted to a lease, then settled, then reported by a span and stored as a call. `standings`
reads in that order, leases first, so that what moves while it reads is seen twice and never missed. A settlement counts
until the call it paid for is itself counted in the same budget, scope and window; from then on the call does, with
whatever later repricing or a better report makes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

from outlay.budgets.budget import DIMENSIONS, TAG_PREFIX, TRACE, Budget, Scope, read_scope_key, scope_key
from outlay.budgets.period import Window
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Select,
    String,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
)
from sqlmodel import Field, SQLModel

from outlay_collector.simulation import PastCall
from outlay_collector.store.reported import (
    Counted,
    bounds,
    counted_by,
    covered,
    dimension_column,
    per_columns,
    reached_a_provider,
    reported,
)
from outlay_collector.store.schema import CALLS, REPORTS, Json

NANO: Final = 10**9
LEASE_S: Final = 60
_SHAPES: Final = 64
GRACE_S: Final = 120
"""How long after its end a lease still counts: for its holder's last calls to end, and be settled or reported."""


class BudgetRow(SQLModel, table=True):
    """One definition, in the keys it is written with."""

    __tablename__ = "budgets"

    name: str = Field(primary_key=True)
    entry: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    origin: str
    """`file`: it follows outlay.toml. `api`: it was set, and stays until it is removed."""
    changed_at_ns: int = Field(sa_type=BigInteger)


class AccountRow(SQLModel, table=True):
    """One scope of a budget. Every grant raises `version` from what its arithmetic was based on, or does not happen."""

    __tablename__ = "budget_accounts"

    budget: str = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    version: int = Field(default=0, sa_type=BigInteger)
    refused_at_ns: int | None = Field(default=None, sa_type=BigInteger)
    """When an ask last found too little, and how much it needed."""
    refused: int | None = Field(default=None, sa_type=BigInteger)


class LeaseRow(SQLModel, table=True):
    """What was lent to one process. The three totals only grow; the rest of `granted` is outstanding."""

    __tablename__ = "budget_leases"
    __table_args__ = (Index("ix_budget_leases_account", "budget", "scope", "expires_at_ns"),)

    id: str = Field(primary_key=True)
    budget: str
    scope: str
    unit: str
    holder: str
    starts_at_ns: int = Field(sa_type=BigInteger)
    """The window it was granted in; no end for a rolling one."""
    ends_at_ns: int | None = Field(default=None, sa_type=BigInteger)
    granted: int = Field(sa_type=BigInteger)
    returned: int = Field(default=0, sa_type=BigInteger)
    settled: int = Field(default=0, sa_type=BigInteger)
    opened_at_ns: int = Field(sa_type=BigInteger)
    expires_at_ns: int = Field(sa_type=BigInteger)


class SettlementRow(SQLModel, table=True):
    """What one call cost one budget, as its process said. The span says which call that was."""

    __tablename__ = "budget_settlements"
    __table_args__ = (Index("ix_budget_settlements_account", "budget", "scope", "at_ns"),)

    id: str = Field(primary_key=True)
    lease: str = Field(sa_column=Column(String, ForeignKey("budget_leases.id"), nullable=False))
    budget: str
    scope: str
    unit: str
    amount: int = Field(sa_type=BigInteger)
    at_ns: int = Field(sa_type=BigInteger)
    trace_id: str | None = None
    span_id: str | None = None


BUDGETS: Final = SQLModel.metadata.tables["budgets"]
ACCOUNTS: Final = SQLModel.metadata.tables["budget_accounts"]
LEASES: Final = SQLModel.metadata.tables["budget_leases"]
SETTLEMENTS: Final = SQLModel.metadata.tables["budget_settlements"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands against a limit: spent for good, and lent to processes that may yet spend it."""

    spent: int = 0
    leased: int = 0


def standings(
    connection: Connection, budget: Budget, window: Window, now_ns: int, scope: Scope | None = None
) -> dict[Scope, Standing]:
    """Every scope anything stands against in that window, or the one given. Never less than the truth."""
    return standings_in(connection, budget, [window], now_ns, scope)[0]


def standings_in(
    connection: Connection, budget: Budget, windows: Sequence[Window], now_ns: int, scope: Scope | None = None
) -> list[dict[Scope, Standing]]:
    """Of each window. They must end alike, the longest first: what is lent is told of that one alone."""
    leased = [_leased(connection, budget, windows[0], now_ns, scope), *({} for _ in windows[1:])]
    unreported = [list(_unreported(connection, budget, window, scope)) for window in windows]
    spent = reported(connection, budget, windows, now_ns, scope)
    for amounts, settled in zip(spent, unreported, strict=True):
        for each, amount in settled:
            amounts[each] = amounts.get(each, 0) + amount
    return [
        {each: Standing(amounts.get(each, 0), lent.get(each, 0)) for each in amounts.keys() | lent.keys()}
        for amounts, lent in zip(spent, leased, strict=True)
    ]


@cache
def outstanding() -> ColumnElement[int]:
    """What a lease's holder may still spend without asking. Made once."""
    rest = LEASES.c.granted - LEASES.c.returned - LEASES.c.settled
    return case((rest > 0, rest), else_=0)


def live_leases(budget: Budget, window: Window, now_ns: int, scope: Scope | None) -> ColumnElement[bool]:
    """Leases whose outstanding part still counts in that window."""
    start, end = bounds(window)
    conditions = [
        LEASES.c.budget == budget.name,
        LEASES.c.unit == budget.limit.unit,
        LEASES.c.expires_at_ns > now_ns - GRACE_S * NANO,
        or_(LEASES.c.ends_at_ns.is_(None), LEASES.c.ends_at_ns > start),
    ]
    if scope is not None:
        conditions.append(LEASES.c.scope == scope_key(scope))
    if end is not None:
        conditions.append(LEASES.c.starts_at_ns < end)
    return and_(*conditions)


def _leased(
    connection: Connection, budget: Budget, window: Window, now_ns: int, scope: Scope | None
) -> dict[Scope, int]:
    found = connection.execute(
        select(LEASES.c.scope, func.sum(outstanding()))
        .where(live_leases(budget, window, now_ns, scope))
        .group_by(LEASES.c.scope)
    )
    return {read_scope_key(key): int(amount) for key, amount in found}


def _unreported(
    connection: Connection, budget: Budget, window: Window, scope: Scope | None
) -> Iterable[tuple[Scope, int]]:
    """Settlements whose call is not, or not yet, counted by `reported`."""
    start, end = bounds(window)
    statement = _unreported_of(counted_by(budget), end is not None, scope is not None)
    found = connection.execute(statement, {**_values_of(budget, scope), "start": start, "end": end})
    for key, is_reported, *named, amount in found:
        each = read_scope_key(key)
        if not (is_reported and tuple(named) == each):
            yield each, int(amount)


@lru_cache(_SHAPES)
def _unreported_of(counted: Counted, ends: bool, one_scope: bool) -> Select[Any]:
    """By scope, by whether a call of the window reports it, and by the scope that call says."""
    per = per_columns(counted.per)
    call = and_(CALLS.c.id == REPORTS.c.call_id, *covered(counted, ends))
    report = and_(REPORTS.c.trace_id == SETTLEMENTS.c.trace_id, REPORTS.c.span_id == SETTLEMENTS.c.span_id)
    of = [*_of(SETTLEMENTS, one_scope), SETTLEMENTS.c.at_ns >= bindparam("start")]
    if ends:
        of.append(SETTLEMENTS.c.at_ns < bindparam("end"))
    is_call = CALLS.c.id.is_not(None).label("is_call")
    return (
        select(SETTLEMENTS.c.scope, is_call, *per, func.sum(SETTLEMENTS.c.amount))
        .select_from(SETTLEMENTS.outerjoin(REPORTS, report).outerjoin(CALLS, call))
        .where(*of)
        .group_by(SETTLEMENTS.c.scope, "is_call", *(column.name for column in per))
    )


def _of(table: Any, one_scope: bool) -> list[ColumnElement[bool]]:
    """What is said of one budget; executed with its `_values_of`."""
    of = [table.c.budget == bindparam("budget"), table.c.unit == bindparam("unit")]
    return [*of, table.c.scope == bindparam("scope")] if one_scope else of


def _values_of(budget: Budget, scope: Scope | None) -> dict[str, Any]:
    values = {"budget": budget.name, "unit": budget.limit.unit}
    return values if scope is None else {**values, "scope": scope_key(scope)}


def past_calls(connection: Connection, from_ns: int, to_ns: int) -> Iterator[PastCall]:
    """The calls that reached a provider and began in `[from_ns, to_ns)`, in the order they began."""
    dimensions = (*DIMENSIONS, TRACE)
    named = [dimension_column(dimension).label(f"dimension_{dimension}") for dimension in dimensions]
    known = [CALLS.c.started_at_ns, CALLS.c.cost_nano_usd, CALLS.c.input_tokens, CALLS.c.output_tokens, CALLS.c.tags]
    statement = (
        select(*known, *named)
        .where(CALLS.c.started_at_ns >= from_ns, CALLS.c.started_at_ns < to_ns, reached_a_provider())
        .order_by(CALLS.c.started_at_ns, CALLS.c.id)
        .execution_options(yield_per=5_000)
    )
    for at_ns, cost, input_tokens, output_tokens, tags, *values in connection.execute(statement):
        said = dict(zip(dimensions, values, strict=True))
        said.update({TAG_PREFIX + name: value for name, value in (tags or {}).items()})
        counted = [tokens for tokens in (input_tokens, output_tokens) if tokens is not None]
        yield PastCall(at_ns, said, cost, sum(counted) if counted else None)
