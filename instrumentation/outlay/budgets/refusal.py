"""The words of a `BudgetExceeded`: which budget, what stands against the call, and when there will be room again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from outlay.budgets.budget import Budget, Limit, Scope
from outlay.budgets.lease import Grant
from outlay.errors import BudgetExceeded, RefusalReason

_NANO: Final = 10**9


def no_room(budget: Budget, scope: Scope, said: Grant, amount: int, now: datetime) -> BudgetExceeded:
    """The collector refused: too little is left for what the call may need."""
    limit = Limit(budget.limit.unit, said.limit)
    text, since = limit.text, _since(budget, said, now)
    if said.spent >= said.limit:
        what = f"is spent: {text(said.spent)} of {text(said.limit)} {since}"
    else:
        reserved = f" and {text(said.leased)} reserved" if said.leased else ""
        what = (
            f"has no room for a call of up to {text(amount)}: "
            f"{text(said.spent)} spent{reserved} of {text(said.limit)} {since}"
        )
    resets_at = None if said.ends_at_ns is None else datetime.fromtimestamp(said.ends_at_ns / _NANO, UTC)
    resets = "" if resets_at is None else f"; resets in {_span(resets_at, now)}"
    return BudgetExceeded(
        f"budget {_name(budget, scope)} {what}{resets}",
        budget=budget.name,
        scope=budget.named(scope),
        limit_usd=limit.usd(said.limit),
        spent_usd=limit.usd(said.spent),
        reserved_usd=limit.usd(said.leased),
        resets_at=resets_at,
    )


def unreachable(budget: Budget, scope: Scope, why: str) -> BudgetExceeded:
    """The collector cannot be asked, and the budget says that calls wait for it."""
    return _blind(
        budget,
        scope,
        "unreachable",
        f"cannot be checked: {why}; it has when_unreachable = {budget.when_unreachable!r}, "
        "start the collector or set it to 'open'",
    )


def untold(why: str) -> BudgetExceeded:
    """The process never learnt its budgets, and was told to let no call pass before it has."""
    return BudgetExceeded(
        f"the budgets are not known: {why or 'the collector has not answered yet'}; OUTLAY_BUDGETS_REQUIRED is on, "
        "start the collector or set it to off",
        budget="",
        scope={},
        limit_usd=None,
        spent_usd=None,
        reserved_usd=None,
        resets_at=None,
        reason="untold",
    )


def unpriced(budget: Budget, scope: Scope, provider: str, model: str | None) -> BudgetExceeded:
    """The call's model has no price, and the budget says that such calls stop."""
    return _blind(
        budget,
        scope,
        "unpriced",
        f"cannot cover {provider}/{model}: the model has no known price; "
        "give it a [[price]] entry (0 where it is free) or set unpriced = 'pass' in the budget",
    )


def _blind(budget: Budget, scope: Scope, reason: RefusalReason, what: str) -> BudgetExceeded:
    return BudgetExceeded(
        f"budget {_name(budget, scope)} {what}",
        budget=budget.name,
        scope=budget.named(scope),
        limit_usd=budget.limit.usd(budget.limit.amount),
        spent_usd=None,
        reserved_usd=None,
        resets_at=None,
        reason=reason,
    )


def _name(budget: Budget, scope: Scope) -> str:
    of = ", ".join(f"{dimension}={value}" for dimension, value in budget.named(scope).items())
    return f'"{budget.name}"' + (f" of {of}" if of else "")


def _since(budget: Budget, said: Grant, now: datetime) -> str:
    if said.ends_at_ns is None:
        return f"in the last {budget.period.name.removeprefix('rolling ')}"
    zone = ZoneInfo(budget.period.timezone)
    start = datetime.fromtimestamp(said.starts_at_ns / _NANO, UTC).astimezone(zone)
    day = "" if start.date() == now.astimezone(zone).date() else f"{start:%Y-%m-%d} "
    return f"since {day}{start:%H:%M} {budget.period.timezone}"


def _span(until: datetime, now: datetime) -> str:
    minutes = max(1, -int(-(until - now).total_seconds() // 60))
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
