"""The tables of budgets, and what they say stands against a limit.

Money moves one way: it is granted to a lease, then settled, then reported by a span and stored as a call. `standings`
reads in that order, leases first, so that what moves while it reads is seen twice and never missed. A settlement counts
until the call it paid for is itself counted in the same budget, scope and window; from then on the call does, with
whatever later repricing or a better report makes of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
    Label,
    String,
    and_,
    case,
    func,
    literal,
    or_,
    select,
)
from sqlmodel import Field, SQLModel

from outlay_collector.periods import to_ns
from outlay_collector.simulation import PastCall
from outlay_collector.store.schema import CALLS, REPORTS, Json

NANO: Final = 10**9
LEASE_S: Final = 60
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
    leased = _leased(connection, budget, window, now_ns, scope)
    spent: defaultdict[Scope, int] = defaultdict(int)
    for some in (_unreported(connection, budget, window, scope), _reported(connection, budget, window, scope)):
        for each, amount in some:
            spent[each] += amount
    return {each: Standing(spent.get(each, 0), leased.get(each, 0)) for each in spent.keys() | leased.keys()}


def outstanding() -> ColumnElement[int]:
    """What a lease's holder may still spend without asking."""
    rest = LEASES.c.granted - LEASES.c.returned - LEASES.c.settled
    return case((rest > 0, rest), else_=0)


def live_leases(budget: Budget, window: Window, now_ns: int, scope: Scope | None) -> ColumnElement[bool]:
    """Leases whose outstanding part still counts in that window."""
    start, end = _bounds(window)
    conditions = [
        *_of(LEASES, budget, scope),
        LEASES.c.expires_at_ns > now_ns - GRACE_S * NANO,
        or_(LEASES.c.ends_at_ns.is_(None), LEASES.c.ends_at_ns > start),
    ]
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
    """Settlements whose call is not, or not yet, counted by `_reported`."""
    start, end = _bounds(window)
    per = _per(budget)
    call = and_(CALLS.c.id == REPORTS.c.call_id, *_covered(budget, window))
    report = and_(REPORTS.c.trace_id == SETTLEMENTS.c.trace_id, REPORTS.c.span_id == SETTLEMENTS.c.span_id)
    of = [*_of(SETTLEMENTS, budget, scope), SETTLEMENTS.c.at_ns >= start]
    if end is not None:
        of.append(SETTLEMENTS.c.at_ns < end)
    is_call = CALLS.c.id.is_not(None).label("is_call")
    found = connection.execute(
        select(SETTLEMENTS.c.scope, is_call, *per, func.sum(SETTLEMENTS.c.amount))
        .select_from(SETTLEMENTS.outerjoin(REPORTS, report).outerjoin(CALLS, call))
        .where(*of)
        .group_by(SETTLEMENTS.c.scope, "is_call", *(column.name for column in per))
    )
    for key, is_reported, *named, amount in found:
        each = read_scope_key(key)
        if not (is_reported and tuple(named) == each):
            yield each, int(amount)


def _reported(
    connection: Connection, budget: Budget, window: Window, scope: Scope | None
) -> Iterable[tuple[Scope, int]]:
    """What the calls cost that the budget covers."""
    per = _per(budget)
    conditions = _covered(budget, window)
    for index, label in enumerate(per):
        conditions.append(label.element != "" if scope is None else label.element == scope[index])
    names = [label.name for label in per]
    found = connection.execute(select(*per, func.sum(_amount(budget))).where(*conditions).group_by(*names))
    for *named, amount in found:
        if amount is not None:  # a sum over no rows at all
            yield tuple(named), int(amount)


def _covered(budget: Budget, window: Window) -> list[ColumnElement[bool]]:
    """Calls that reached a provider, in the window, matched, and of a known amount."""
    start, end = _bounds(window)
    conditions: list[ColumnElement[bool]] = [
        CALLS.c.started_at_ns >= start,
        _reached_a_provider(),
        _amount(budget).is_not(None),
        *(dimension_column(dimension).in_(sorted(values)) for dimension, values in budget.match.items()),
    ]
    if end is not None:
        conditions.append(CALLS.c.started_at_ns < end)
    return conditions


def _per(budget: Budget) -> list[Label[Any]]:
    """The scope's columns, under names to group by: an expression with a parameter is not equal to itself repeated."""
    return [dimension_column(dimension).label(f"per_{index}") for index, dimension in enumerate(budget.per)]


def dimension_column(dimension: str) -> ColumnElement[Any]:
    """Where a call's value of a budget's dimension stands. The model is the one asked for, as the process saw it."""
    if dimension.startswith(TAG_PREFIX):
        tag: ColumnElement[Any] = CALLS.c.tags[dimension.removeprefix(TAG_PREFIX)].as_string()
        return tag
    if dimension == TRACE:
        return case((CALLS.c.parent_span_id.is_not(None), CALLS.c.trace_id))
    if dimension == "model":
        return func.coalesce(CALLS.c.model_requested, CALLS.c.model)
    return CALLS.c[dimension]


def _amount(budget: Budget) -> ColumnElement[Any]:
    if budget.limit.unit == "usd":
        return CALLS.c.cost_nano_usd
    if budget.limit.unit == "calls":
        return literal(1)
    known = or_(CALLS.c.input_tokens.is_not(None), CALLS.c.output_tokens.is_not(None))
    return case((known, func.coalesce(CALLS.c.input_tokens, 0) + func.coalesce(CALLS.c.output_tokens, 0)))


def _of(table: Any, budget: Budget, scope: Scope | None) -> list[ColumnElement[bool]]:
    of = [table.c.budget == budget.name, table.c.unit == budget.limit.unit]
    return of if scope is None else [*of, table.c.scope == scope_key(scope)]


def _bounds(window: Window) -> tuple[int, int | None]:
    return to_ns(window.start), None if window.end is None else to_ns(window.end)


def past_calls(connection: Connection, from_ns: int, to_ns: int) -> Iterator[PastCall]:
    """The calls that reached a provider and began in `[from_ns, to_ns)`, in the order they began."""
    dimensions = (*DIMENSIONS, TRACE)
    named = [dimension_column(dimension).label(f"dimension_{dimension}") for dimension in dimensions]
    known = [CALLS.c.started_at_ns, CALLS.c.cost_nano_usd, CALLS.c.input_tokens, CALLS.c.output_tokens, CALLS.c.tags]
    statement = (
        select(*known, *named)
        .where(CALLS.c.started_at_ns >= from_ns, CALLS.c.started_at_ns < to_ns, _reached_a_provider())
        .order_by(CALLS.c.started_at_ns, CALLS.c.id)
        .execution_options(yield_per=5_000)
    )
    for at_ns, cost, input_tokens, output_tokens, tags, *values in connection.execute(statement):
        said = dict(zip(dimensions, values, strict=True))
        said.update({TAG_PREFIX + name: value for name, value in (tags or {}).items()})
        counted = [tokens for tokens in (input_tokens, output_tokens) if tokens is not None]
        yield PastCall(at_ns, said, cost, sum(counted) if counted else None)


def _reached_a_provider() -> ColumnElement[bool]:
    return or_(CALLS.c.response_cache.is_(None), CALLS.c.response_cache != "hit")
