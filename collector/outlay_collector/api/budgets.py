"""Budgets: how they stand, their definitions, and the leases processes hold of them."""

from __future__ import annotations

from collections.abc import Sized
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body
from outlay.budgets.definition import read_budget, read_budgets
from outlay.budgets.lease import LeaseAnswer, LeaseRequest, SettleAnswer, SettleRequest
from outlay.errors import ConfigError
from sqlalchemy import Connection

from outlay_collector import budgets as lender
from outlay_collector.api.dependencies import EngineOf, NowNs
from outlay_collector.api.errors import ApiError, bad_field, not_found
from outlay_collector.budgets import BudgetState, budget_states
from outlay_collector.money import usd_text
from outlay_collector.periods import rfc3339, to_ns
from outlay_collector.simulation import simulate
from outlay_collector.store.budgets import NANO, past_calls
from outlay_collector.store.definitions import (
    Definition,
    definitions,
    find_definition,
    put_definition,
    remove_definition,
)
from outlay_collector.store.engine import reading

router = APIRouter(prefix="/api/v1/budgets", tags=["budgets"])

_MOST_ASKS: Final = 1_000
_MOST_SETTLEMENTS: Final = 10_000
_MOST: Final = 2**62


@router.get("")
def list_budgets(engine: EngineOf, now_ns: NowNs) -> dict[str, Any]:
    """Every budget as it stands now, one entry for each of its scopes, and the definitions: a budget per user has no
    entry before its first user."""
    with reading(engine) as connection:
        known = definitions(connection)
    return {
        "budgets": [state_json(state) for state in budget_states(engine, now_ns)],
        "definitions": [_definition_json(definition) for definition in known],
    }


@router.get("/{name}")
def get_budget(name: str, engine: EngineOf) -> dict[str, Any]:
    """The definition, in the keys it is written with, and where it comes from."""
    with reading(engine) as connection:
        return _definition_json(_find(connection, name))


@router.put("/{name}")
def put_budget(name: str, entry: Annotated[dict[str, Any], Body()], engine: EngineOf, now_ns: NowNs) -> dict[str, Any]:
    """Set a budget, new or changed. The body has the keys of a `[[budget]]`; the name may be left out."""
    if entry.setdefault("name", name) != name:
        raise bad_field("name", f"the body says {entry['name']!r}, the address {name!r}")
    try:
        budget = read_budget(entry, "body")
    except ConfigError as error:
        raise bad_field(error.key, f"{error.value!r}: expected {error.expected}") from None
    with engine.begin() as connection:
        if (known := find_definition(connection, name)) is not None:
            _must_be_ours(known)
        put_definition(connection, budget, "api", now_ns)
    return _definition_json(Definition(budget, "api"))


@router.delete("/{name}", status_code=204)
def delete_budget(name: str, engine: EngineOf) -> None:
    """Remove a budget. Processes that keep it learn so within seconds; what calls cost is not forgotten."""
    with engine.begin() as connection:
        _must_be_ours(_find(connection, name))
        remove_definition(connection, name)


@router.post("/leases")
def lease(request: LeaseRequest, engine: EngineOf, now_ns: NowNs) -> LeaseAnswer:
    """For `outlay` in applications: the definitions to keep, and parts of budgets to spend."""
    _check_length("asks", request.asks, _MOST_ASKS)
    _check("asks", *(amount for ask in request.asks for amount in (ask.known, ask.need, ask.want)))
    try:
        return lender.lend(engine, request, now_ns)
    except lender.Contended:
        raise ApiError(503, "contended", "too many processes asked for the same budget at once; ask again") from None


@router.post("/settle")
def settle(request: SettleRequest, engine: EngineOf, now_ns: NowNs) -> SettleAnswer:
    """For `outlay` in applications: what calls cost, and which leases live on. Repeating a request changes nothing."""
    _check_length("settlements", request.settlements, _MOST_SETTLEMENTS)
    _check_length("renewals", request.renewals, _MOST_SETTLEMENTS)
    _check("settlements", *(each.amount for each in request.settlements))
    _check("renewals", *(each.returned for each in request.renewals))
    return lender.settle(engine, request, now_ns)


@router.post("/simulate")
def simulate_budgets(
    budgets: Annotated[list[dict[str, Any]], Body(embed=True)],
    since_s: Annotated[int, Body(embed=True, gt=0)],
    engine: EngineOf,
    now_ns: NowNs,
) -> dict[str, Any]:
    """What these budgets, each in the keys of a `[[budget]]`, would have stopped in the last `since_s` seconds."""
    try:
        read = read_budgets(budgets, "body")
    except ConfigError as error:
        raise bad_field(error.key, f"{error.value!r}: expected {error.expected}") from None
    with reading(engine) as connection:
        stopped = simulate(read, past_calls(connection, now_ns - since_s * NANO, now_ns))
    return {
        "from": rfc3339(now_ns - since_s * NANO),
        "to": rfc3339(now_ns),
        "stopped": [
            {
                "name": each.budget.name,
                "scope": each.budget.named(each.scope),
                "calls": each.calls,
                "cost_usd": usd_text(each.cost_nano_usd),
                "first_at": rfc3339(each.first_at_ns),
            }
            for each in stopped
        ],
    }


def state_json(state: BudgetState) -> dict[str, Any]:
    """A budget's state as the API shows it. The amounts in USD are null where the budget counts something else."""
    budget, end = state.budget, state.window.end
    amounts = {"limit": budget.limit.amount, "spent": state.spent, "leased": state.leased, "remaining": state.remaining}
    usd = {name: usd_text(amount) if budget.limit.unit == "usd" else None for name, amount in amounts.items()}
    return {
        "name": budget.name,
        "scope": budget.named(state.scope),
        "period": budget.period.name,
        "timezone": budget.period.timezone,
        "unit": budget.limit.unit,
        **{name: amount if usd[name] is None else usd[name] for name, amount in amounts.items()},
        **{f"{name}_usd": amount for name, amount in usd.items()},
        "thresholds": list(budget.thresholds),
        "on_limit": budget.on_limit,
        "state": state.state,
        "starts_at": rfc3339(to_ns(state.window.start)),
        "resets_at": None if end is None else rfc3339(to_ns(end)),
        "origin": state.origin,
    }


def _definition_json(definition: Definition) -> dict[str, Any]:
    return {**definition.budget.entry(), "origin": definition.origin}


def _find(connection: Connection, name: str) -> Definition:
    found = find_definition(connection, name)
    if found is None:
        raise not_found(f"budget {name!r}")
    return found


def _must_be_ours(definition: Definition) -> None:
    if definition.origin == "file":
        name = definition.budget.name
        raise ApiError(409, "conflict", f"budget {name!r} stands in outlay.toml: change it there and restart", "name")


def _check(field: str, *numbers: int) -> None:
    wrong = next((number for number in numbers if not 0 <= number <= _MOST), None)
    if wrong is not None:
        raise bad_field(field, f"{wrong}: expected whole numbers from 0 up")


def _check_length(field: str, given: Sized, most: int) -> None:
    if len(given) > most:
        raise bad_field(field, f"{len(given)} of them: expected at most {most:,}")
