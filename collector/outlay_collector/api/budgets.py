"""Budgets: how they stand, their definitions, and what eases them for a while."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Response
from outlay.budgets.budget import Budget, Limit
from outlay.budgets.definition import read_budget, read_limit
from outlay.errors import ConfigError
from sqlalchemy import Connection

from outlay_collector.api.dependencies import EngineOf, NowNs
from outlay_collector.api.errors import ApiError, bad_field, not_found
from outlay_collector.api.written import written
from outlay_collector.budget_states import BudgetState, budget_states
from outlay_collector.money import usd_text
from outlay_collector.periods import from_ns, rfc3339, to_ns
from outlay_collector.store.budgets import NANO
from outlay_collector.store.definitions import (
    Definition,
    definitions,
    find_definition,
    put_definition,
    remove_definition,
)
from outlay_collector.store.easings import Easing, ease, end_easing
from outlay_collector.store.engine import reading, reading_at_once
from outlay_collector.store.leases import holders

router = APIRouter(prefix="/api/v1/budgets", tags=["budgets"])

_MOST_SCOPES: Final = 200
"""So many scopes of one budget are listed, those that spent most: there may be one for every user."""
_EDGES_KNOWN: Final = 64
_MOST_S: Final = 366 * 86_400


@router.get("", response_model=dict[str, Any])
def list_budgets(engine: EngineOf, now_ns: NowNs) -> Response:
    """Every budget as it stands now, one entry for each of its scopes (of many, the 200 that spent most), and the
    definitions: a budget per user has no entry before its first user."""
    with reading_at_once(engine) as connection:
        said = {
            "budgets": states_json(budget_states(engine, now_ns)),
            "definitions": [_definition_json(definition) for definition in definitions(connection, now_ns)],
        }
    return written(said)


@router.get("/{name}")
def get_budget(name: str, engine: EngineOf, now_ns: NowNs) -> dict[str, Any]:
    """The definition, in the keys it is written with, where it comes from, and what eases it."""
    with reading(engine) as connection:
        return _definition_json(_find(connection, name, now_ns))


@router.get("/{name}/holders")
def get_holders(name: str, engine: EngineOf, now_ns: NowNs) -> dict[str, Any]:
    """Which processes hold a lease of the budget: host, process id and a random part. Amounts in the budget's unit."""
    with reading(engine) as connection:
        budget = _find(connection, name, now_ns).in_force
        rows = holders(connection, budget, budget.window(from_ns(now_ns)), now_ns)
    return {
        "holders": [
            {
                "holder": each.holder,
                "scope": budget.named(each.scope),
                "leased": _amount(budget.limit, each.leased),
                "settled": _amount(budget.limit, each.settled),
                "expires_at": rfc3339(each.expires_at_ns),
            }
            for each in rows
        ]
    }


@router.put("/{name}")
def put_budget(name: str, entry: Annotated[dict[str, Any], Body()], engine: EngineOf, now_ns: NowNs) -> dict[str, Any]:
    """Set a budget, new or changed. The body has the keys of a `[[budget]]`; the name may be left out. What eased it
    ends."""
    if entry.setdefault("name", name) != name:
        raise bad_field("name", f"the body says {entry['name']!r}, the address {name!r}")
    try:
        budget = read_budget(entry, "body")
    except ConfigError as error:
        raise bad_field(error.key, f"{error.value!r}: expected {error.expected}") from None
    with engine.begin() as connection:
        if (known := find_definition(connection, name, now_ns)) is not None:
            _must_be_ours(known)
        put_definition(connection, budget, "api", now_ns)
        end_easing(connection, name)
    return _definition_json(Definition(budget, "api"))


@router.delete("/{name}", status_code=204)
def delete_budget(name: str, engine: EngineOf, now_ns: NowNs) -> None:
    """Remove a budget. Processes that keep it learn so within seconds; what calls cost is not forgotten."""
    with engine.begin() as connection:
        _must_be_ours(_find(connection, name, now_ns))
        remove_definition(connection, name)


@router.put("/{name}/easing")
def put_easing(
    name: str,
    engine: EngineOf,
    now_ns: NowNs,
    limit: Annotated[dict[str, Any] | None, Body()] = None,
    for_s: Annotated[int | None, Body(gt=0, le=_MOST_S)] = None,
) -> dict[str, Any]:
    """Have another `limit` hold for a while, or, without one, hold nothing back: the budget is paused. It ends after
    `for_s` seconds, else a limit's with the period and a pause when it is ended. A budget of outlay.toml can be eased
    too."""
    with engine.begin() as connection:
        definition = _find(connection, name, now_ns)
        amount = None if limit is None else _limit(limit, definition).amount
        until_ns = _until(definition, amount, for_s, now_ns)
        easing = Easing(limit_amount=amount, since_ns=now_ns, until_ns=until_ns)
        ease(connection, name, easing)
    return _definition_json(Definition(definition.budget, definition.origin, easing))


@router.delete("/{name}/easing")
def delete_easing(name: str, engine: EngineOf, now_ns: NowNs) -> dict[str, Any]:
    """Have the definition hold again."""
    with engine.begin() as connection:
        definition = _find(connection, name, now_ns)
        end_easing(connection, name)
    return _definition_json(Definition(definition.budget, definition.origin))


def states_json(states: list[BudgetState]) -> list[dict[str, Any]]:
    """The states as the API shows them, the fullest scopes of each budget."""
    listed: dict[str, int] = {}
    shown = []
    for state in states:
        listed[state.budget.name] = listed.get(state.budget.name, 0) + 1
        if listed[state.budget.name] <= _MOST_SCOPES:
            shown.append(state_json(state))
    return shown


def state_json(state: BudgetState) -> dict[str, Any]:
    """A budget's state as the API shows it. The amounts in USD are null where the budget counts something else."""
    budget, end, projection, easing = state.budget, state.window.end, state.projection, state.definition.easing
    exhausts_at = None if projection is None else projection.exhausts_at
    amounts = {
        "limit": _amount(budget.limit, budget.limit.amount),
        "spent": _amount(budget.limit, state.spent),
        "leased": _amount(budget.limit, state.leased),
        "remaining": _amount(budget.limit, state.remaining),
        "projected": None if projection is None else _amount(budget.limit, projection.amount),
    }
    in_usd = budget.limit.unit == "usd"
    return {
        "name": budget.name,
        "scope": budget.named(state.scope),
        "period": budget.period.name,
        "timezone": budget.period.timezone,
        "unit": budget.limit.unit,
        **amounts,
        **{f"{name}_usd": amount if in_usd else None for name, amount in amounts.items()},
        "exhausts_at": None if exhausts_at is None else rfc3339(to_ns(exhausts_at)),
        "held_back_calls": state.held_back.calls,
        "avoided_usd": usd_text(state.held_back.avoided_nano_usd),
        "thresholds": list(budget.thresholds),
        "on_limit": budget.on_limit,
        "state": state.state,
        "starts_at": _edge(state.window.start),
        "resets_at": None if end is None else _edge(end),
        "origin": state.definition.origin,
        "paused": easing is not None and easing.is_pause,
        "eased_until": None if easing is None else _time(easing.until_ns),
    }


@lru_cache(_EDGES_KNOWN)
def _edge(at: datetime) -> str:
    """All scopes of a budget have the same."""
    return rfc3339(to_ns(at))


def _amount(limit: Limit, amount: int | None) -> int | str | None:
    return usd_text(amount) if limit.unit == "usd" else amount


def _time(at_ns: int | None) -> str | None:
    return None if at_ns is None else rfc3339(at_ns)


def _definition_json(definition: Definition) -> dict[str, Any]:
    return {
        **definition.budget.entry(),
        "origin": definition.origin,
        "easing": _easing_json(definition.budget, definition.easing),
    }


def _easing_json(budget: Budget, easing: Easing | None) -> dict[str, Any] | None:
    if easing is None:
        return None
    amount = easing.limit_amount
    return {
        "limit": None if amount is None else {budget.limit.unit: _amount(budget.limit, amount)},
        "since": rfc3339(easing.since_ns),
        "until": _time(easing.until_ns),
    }


def _limit(limit: dict[str, Any], definition: Definition) -> Limit:
    try:
        read = read_limit(limit, "body")
    except ConfigError as error:
        raise bad_field(error.key, f"{error.value!r}: expected {error.expected}") from None
    unit = definition.budget.limit.unit
    if read.unit != unit:
        raise bad_field("limit", f"{definition.budget.name!r} counts {unit}: expected {{{unit!r}: ...}}")
    return read


def _until(definition: Definition, amount: int | None, for_s: int | None, now_ns: int) -> int | None:
    if for_s is not None:
        return now_ns + for_s * NANO
    if amount is None:
        return None
    end = definition.budget.window(from_ns(now_ns)).end
    if end is None:
        raise bad_field("for_s", "expected seconds: a rolling period has no end for the limit to hold until")
    return to_ns(end)


def _find(connection: Connection, name: str, now_ns: int) -> Definition:
    found = find_definition(connection, name, now_ns)
    if found is None:
        raise not_found(f"budget {name!r}")
    return found


def _must_be_ours(definition: Definition) -> None:
    if definition.origin == "file":
        name = definition.budget.name
        raise ApiError(
            409,
            "conflict",
            f"budget {name!r} stands in outlay.toml: change it there and restart, or ease it for a while: "
            "outlay budgets raise, outlay budgets pause",
            "name",
        )
