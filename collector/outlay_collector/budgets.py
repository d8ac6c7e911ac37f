"""The lender: how much of a budget each process may have at a time.

A grant is worked out from what the account showed at a version, and happens only if the version is still the same: so
spent and leased together never pass the limit by a grant, whoever else grants at the same time. Sizes shrink with what
is left, so that the last of a budget is not parked with a process that does not need it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from weakref import WeakKeyDictionary

from outlay.budgets.budget import Budget, scope_key
from outlay.budgets.lease import Ask, Grant, LeaseAnswer, LeaseRequest, SettleAnswer, SettleRequest
from outlay.budgets.period import Window
from sqlalchemy import Engine, Row

from outlay_collector.periods import from_ns, to_ns
from outlay_collector.store import leases
from outlay_collector.store.budgets import (
    LEASE_S,
    NANO,
    Standing,
    live_leases,
    standings,
)
from outlay_collector.store.definitions import definitions
from outlay_collector.store.engine import reading
from outlay_collector.store.refusals import note_refusals

_SHARE: Final = 8
"""One process alone is lent at most this part of what is left; each of n, an n-th of that, and of two or more half."""
_MOST_SHARING: Final = 2
_TRIES: Final = 50
_LOCKS: Final = tuple(threading.Lock() for _ in range(64))
"""Keeps this process from racing itself for an account; between processes the version decides."""

_Key = tuple[str, str, str, datetime | None]
_RECENT: Final[WeakKeyDictionary[Engine, dict[_Key, _Look]]] = WeakKeyDictionary()
_RECENT_NS: Final = 5 * NANO
"""How long a look serves for further grants: to sum up a month for each would cost more than the calls."""
_MOST_RECENT: Final = 10_000


class Contended(Exception):
    """Others changed the account at every try. Nothing was granted; asking again is right."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One ask, and what it is about."""

    ask: Ask
    budget: Budget
    holder: str
    window: Window
    now_ns: int
    version: str
    """Of the definitions."""

    @property
    def remembered_as(self) -> _Key:
        return self.version, self.budget.name, self.key, self.window.end

    @property
    def key(self) -> str:
        return scope_key(tuple(self.ask.scope))

    @property
    def expires_at_ns(self) -> int:
        end = self.window.end
        later = self.now_ns + LEASE_S * NANO
        return later if end is None else min(later, to_ns(end))

    def answer(self, look: _Look, more: int, *, gone: bool = False) -> Grant:
        return Grant(
            lease=self.ask.lease,
            budget=self.budget.name,
            scope=self.ask.scope,
            granted=look.granted + more,
            expires_in_s=0 if gone else (self.expires_at_ns - self.now_ns) / NANO,
            limit=self.budget.limit.amount,
            spent=look.standing.spent,
            leased=look.standing.leased + more,
            starts_at_ns=to_ns(self.window.start),
            ends_at_ns=None if self.window.end is None else to_ns(self.window.end),
            share=fair_share(self.budget.limit.amount - look.standing.spent - look.standing.leased - more, look.others),
        )


@dataclass(frozen=True, slots=True)
class _Look:
    """An account as it was at one version. `lease` is None where the ask opens a new one."""

    version: int
    lease: Row[Any] | None
    standing: Standing
    others: int
    at_ns: int
    is_new: bool = True

    @property
    def granted(self) -> int:
        return 0 if self.lease is None else int(self.lease.granted)

    def is_gone(self, asked: _Asked) -> bool:
        """Whether the lease can no longer be added to: over, of a window that is over, or not this account's."""
        lease = self.lease
        if lease is None:
            return False
        account = (asked.budget.name, asked.key, asked.budget.limit.unit)
        same_window = lease.ends_at_ns == (None if asked.window.end is None else to_ns(asked.window.end))
        return (
            (lease.budget, lease.scope, lease.unit) != account or not same_window or lease.expires_at_ns <= asked.now_ns
        )


def lend(engine: Engine, request: LeaseRequest, now_ns: int) -> LeaseAnswer:
    """The definitions a process has to keep, and an answer to each of its asks. Asks for budgets nobody defined any
    more get none. Raises `Contended`."""
    blocking = _blocking(engine, now_ns)
    version = _version(blocking)
    by_name = {budget.name: budget for budget in blocking}
    return LeaseAnswer(
        version=version,
        budgets=None if request.version == version else [budget.entry() for budget in blocking],
        grants=[
            _grant(engine, _Asked(ask, budget, request.holder, budget.window(from_ns(now_ns)), now_ns, version))
            for ask in request.asks
            if (budget := by_name.get(ask.budget)) is not None and len(ask.scope) == len(budget.per)
        ],
    )


def settle(engine: Engine, request: SettleRequest, now_ns: int) -> SettleAnswer:
    """Book what calls cost, take back what processes return, renew what they keep. Repeating it changes nothing."""
    with engine.begin() as connection:
        leases.settle(connection, request.settlements, now_ns)
        ends = leases.renew(connection, request.renewals, now_ns)
        note_refusals(connection, request.holder, request.refusals, now_ns)
    return SettleAnswer(
        version=_version(_blocking(engine, now_ns)),
        expires_in_s={lease: (end - now_ns) / NANO for lease, end in ends.items()},
    )


def _blocking(engine: Engine, now_ns: int) -> list[Budget]:
    with reading(engine) as connection:
        in_force = [each.in_force for each in definitions(connection, now_ns)]
    return [budget for budget in in_force if budget.on_limit == "block"]


def _version(budgets: Sequence[Budget]) -> str:
    entries = json.dumps([budget.entry() for budget in budgets], sort_keys=True)
    return hashlib.blake2s(entries.encode(), digest_size=8).hexdigest()


def _grant(engine: Engine, asked: _Asked) -> Grant:
    recent = _RECENT.setdefault(engine, {})
    with _LOCKS[hash((asked.budget.name, asked.key)) % len(_LOCKS)]:
        for attempt in range(_TRIES):
            look = _look(engine, asked, recent if attempt == 0 else {})
            if look.is_gone(asked):
                return asked.answer(look, 0, gone=True)
            unknown = look.granted - asked.ask.known
            room = asked.budget.limit.amount - look.standing.spent - look.standing.leased
            more = size(asked.ask.need - unknown, asked.ask.want - unknown, room, look.others)
            if more is None and not look.is_new:
                continue
            if more is None:
                needed = max(asked.ask.need, asked.ask.amount)  # what it has in hand comes back
                with engine.begin() as connection:
                    leases.note_refusal(connection, asked.budget.name, asked.key, needed, asked.now_ns)
            if not more or _write(engine, asked, look, more):
                _remember(recent, asked, look, more or 0)
                return asked.answer(look, more or 0)
    raise Contended


def size(need: int, want: int, room: int, others: int) -> int | None:
    """How much more to lend where `room` is left and `others` hold a part too: what is needed, and towards what is
    wanted no more than a share. None where there is no room for the need; never more than the room."""
    if need > max(room, 0):
        return None
    return max(need, min(want, fair_share(room, others)), 0)


def fair_share(room: int, others: int) -> int:
    """What one process may have in hand unused where `room` is left and `others` hold a part too: little, for one that
    dies takes it along."""
    sharing = others + 1
    return max(room, 0) // (_SHARE * sharing * min(sharing, _MOST_SHARING))


def _look(engine: Engine, asked: _Asked, recent: dict[_Key, _Look]) -> _Look:
    """The account now. What stood against it lately is taken over where nobody has been granted anything since: while
    the version is the same it can have become less by returns and corrections, and more only by calls no lease covers.

    Reads the version first: what the rest shows is then at least as new, and a grant in between is noticed.
    """
    budget, scope = asked.budget, tuple(asked.ask.scope)
    with reading(engine) as connection:
        version = leases.account_version(connection, budget.name, asked.key)
        lease = leases.find_lease(connection, asked.ask.lease)
        live = live_leases(budget, asked.window, asked.now_ns, scope)
        others = leases.others_holding(connection, live, asked.ask.lease)
        last = recent.get(asked.remembered_as)
        if last is not None and last.version == version and 0 <= asked.now_ns - last.at_ns < _RECENT_NS:
            return replace(last, lease=lease, others=others, is_new=False)
        standing = standings(connection, budget, asked.window, asked.now_ns, scope).get(scope, Standing())
    return _Look(version, lease, standing, others, asked.now_ns)


def _remember(recent: dict[_Key, _Look], asked: _Asked, look: _Look, more: int) -> None:
    if len(recent) >= _MOST_RECENT:
        recent.clear()
    standing = Standing(look.standing.spent, look.standing.leased + more)
    version = look.version + 1 if more else look.version
    recent[asked.remembered_as] = replace(look, version=version, standing=standing, lease=None)


def _write(engine: Engine, asked: _Asked, look: _Look, more: int) -> bool:
    with engine.begin() as connection:
        if not leases.raise_version(connection, asked.budget.name, asked.key, look.version):
            return False
        if look.lease is not None:
            leases.top_up(connection, asked.ask.lease, more, asked.expires_at_ns)
            return True
        lease = {
            "id": asked.ask.lease,
            "budget": asked.budget.name,
            "scope": asked.key,
            "unit": asked.budget.limit.unit,
            "holder": asked.holder,
            "starts_at_ns": to_ns(asked.window.start),
            "ends_at_ns": None if asked.window.end is None else to_ns(asked.window.end),
            "granted": more,
            "returned": 0,
            "settled": 0,
            "opened_at_ns": asked.now_ns,
            "expires_at_ns": asked.expires_at_ns,
        }
        leases.open_lease(connection, lease)
        return True
