"""Leases: what `outlay` in applications asks for, and what it reports."""

from __future__ import annotations

from collections.abc import Sized
from typing import Final, get_args

from fastapi import APIRouter
from outlay.budgets.lease import LeaseAnswer, LeaseRequest, SettleAnswer, SettleRequest
from outlay.errors import RefusalReason

from outlay_collector import budgets as lender
from outlay_collector.api.dependencies import EngineOf, NowNs
from outlay_collector.api.errors import ApiError, bad_field

router = APIRouter(prefix="/api/v1/budgets", tags=["budgets"])

_MOST_ASKS: Final = 1_000
_MOST_SETTLEMENTS: Final = 10_000
_MOST: Final = 2**62
_MOST_OF_A_CALL: Final = 2**53
"""Of all that may be summed up: 9 million USD, or as many billion tokens."""


@router.post("/leases")
def lease(request: LeaseRequest, engine: EngineOf, now_ns: NowNs) -> LeaseAnswer:
    """For `outlay` in applications: the definitions to keep, and parts of budgets to spend."""
    _check_length("asks", request.asks, _MOST_ASKS)
    _check("asks", *(amount for ask in request.asks for amount in (ask.known, ask.need, ask.want, ask.amount)))
    try:
        return lender.lend(engine, request, now_ns)
    except lender.Contended:
        raise ApiError(503, "contended", "too many processes asked for the same budget at once; ask again") from None


@router.post("/settle")
def settle(request: SettleRequest, engine: EngineOf, now_ns: NowNs) -> SettleAnswer:
    """For `outlay` in applications: what calls cost, which were held back, and which leases
    live on. Repeating a request changes nothing."""
    _check_length("settlements", request.settlements, _MOST_SETTLEMENTS)
    _check_length("renewals", request.renewals, _MOST_SETTLEMENTS)
    _check("settlements", *(each.amount for each in request.settlements), most=_MOST_OF_A_CALL)
    _check("renewals", *(each.returned for each in request.renewals))
    _check_length("refusals", request.refusals, _MOST_SETTLEMENTS)
    counts = (number for each in request.refusals for number in (each.calls, each.avoided_nano_usd or 0))
    _check("refusals", *counts, most=_MOST_OF_A_CALL)
    _check("refusals", *(each.at_ns for each in request.refusals))
    if unknown := {each.reason for each in request.refusals} - set(get_args(RefusalReason)):
        raise bad_field("refusals", f"{min(unknown)!r}: expected one of {', '.join(get_args(RefusalReason))}")
    return lender.settle(engine, request, now_ns)


def _check(field: str, *numbers: int, most: int = _MOST) -> None:
    wrong = next((number for number in numbers if not 0 <= number <= most), None)
    if wrong is not None:
        raise bad_field(field, f"{wrong}: expected whole numbers from 0 to {most:,}")


def _check_length(field: str, given: Sized, most: int) -> None:
    if len(given) > most:
        raise bad_field(field, f"{len(given)} of them: expected at most {most:,}")
