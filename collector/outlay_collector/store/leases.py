"""How leases change: grants by compare-and-set, settlements once, renewals by totals that only grow.

Every function is one transaction or a part of the caller's, and safe to repeat. Several collectors may run them on one
database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from outlay.budgets.budget import Budget, Scope, read_scope_key
from outlay.budgets.lease import Renewal, Settlement
from outlay.budgets.period import Window
from sqlalchemy import Connection, Row, and_, case, func, select, update

from outlay_collector.store.budgets import (
    ACCOUNTS,
    GRACE_S,
    LEASE_S,
    LEASES,
    NANO,
    SETTLEMENTS,
    live_leases,
    outstanding,
)
from outlay_collector.store.inserting import insert_new


def account_version(connection: Connection, budget: str, scope: str) -> int:
    """What `raise_version` has to be told; 0 for an account nobody wrote yet."""
    found = connection.scalar(select(ACCOUNTS.c.version).where(ACCOUNTS.c.budget == budget, ACCOUNTS.c.scope == scope))
    return found or 0


def raise_version(connection: Connection, budget: str, scope: str, seen: int) -> bool:
    """Claim the account for a change worked out from `seen`. False where another change came first."""
    if seen == 0:
        insert_new(connection, ACCOUNTS, [{"budget": budget, "scope": scope, "version": 0}])
    claimed = connection.execute(
        update(ACCOUNTS)
        .where(ACCOUNTS.c.budget == budget, ACCOUNTS.c.scope == scope, ACCOUNTS.c.version == seen)
        .values(version=seen + 1)
    )
    return claimed.rowcount == 1


def note_refusal(connection: Connection, budget: str, scope: str, needed: int, now_ns: int) -> None:
    """Remember that an ask found too little."""
    insert_new(connection, ACCOUNTS, [{"budget": budget, "scope": scope, "version": 0}])
    connection.execute(
        update(ACCOUNTS)
        .where(ACCOUNTS.c.budget == budget, ACCOUNTS.c.scope == scope)
        .values(refused_at_ns=now_ns, refused=needed)
    )


def refusals(connection: Connection, budget: str, since_ns: int) -> dict[str, int]:
    """By scope key, what the last ask that was refused since then had needed."""
    found = connection.execute(
        select(ACCOUNTS.c.scope, ACCOUNTS.c.refused).where(
            ACCOUNTS.c.budget == budget, ACCOUNTS.c.refused_at_ns >= since_ns
        )
    )
    return {row.scope: row.refused for row in found}


def find_lease(connection: Connection, lease: str) -> Row[Any] | None:
    return connection.execute(select(LEASES).where(LEASES.c.id == lease)).first()


def open_lease(connection: Connection, values: dict[str, Any]) -> None:
    connection.execute(LEASES.insert().values(values))


def top_up(connection: Connection, lease: str, amount: int, expires_at_ns: int) -> None:
    later = case((LEASES.c.expires_at_ns > expires_at_ns, LEASES.c.expires_at_ns), else_=expires_at_ns)
    connection.execute(
        update(LEASES).where(LEASES.c.id == lease).values(granted=LEASES.c.granted + amount, expires_at_ns=later)
    )


def settle(connection: Connection, settlements: Sequence[Settlement], now_ns: int) -> int:
    """Write what is new among them and charge it to its lease; the number that was new.

    A settlement of a lease nobody knows is passed over. Its time is held inside its lease's life and window, so that a
    process with a wrong clock cannot put it where nobody counts.
    """
    wanted = {each.lease for each in settlements}
    known = connection.execute(select(LEASES).where(LEASES.c.id.in_(wanted))).all()
    leases = {lease.id: lease for lease in known}
    rows = [_row(each, leases[each.lease], now_ns) for each in settlements if each.lease in leases]
    sums: defaultdict[str, int] = defaultdict(int)
    new = 0
    for row in insert_new(connection, SETTLEMENTS, rows, SETTLEMENTS.c.lease, SETTLEMENTS.c.amount):
        sums[row.lease] += row.amount
        new += 1
    for lease, amount in sorted(sums.items()):  # one order for all, or two batches could wait for each other
        connection.execute(update(LEASES).where(LEASES.c.id == lease).values(settled=LEASES.c.settled + amount))
    return new


def _row(each: Settlement, lease: Row[Any], now_ns: int) -> dict[str, Any]:
    latest = now_ns if lease.ends_at_ns is None else min(now_ns, lease.ends_at_ns - 1)
    return {
        "id": each.id,
        "lease": each.lease,
        "budget": lease.budget,
        "scope": lease.scope,
        "unit": lease.unit,
        "amount": each.amount,
        "at_ns": max(lease.opened_at_ns, min(each.at_ns, latest)),
        "trace_id": each.trace_id,
        "span_id": each.span_id,
    }


def renew(connection: Connection, renewals: Iterable[Renewal], now_ns: int) -> dict[str, int]:
    """Take back what is returned and let the rest live on; the new end by lease, those that are gone left out.

    A lease is revived only well inside the time it still counts: once its part may have been granted to somebody else
    it stays dead, even where two collectors' clocks differ a little.
    """
    ends: dict[str, int] = {}
    for renewal in sorted(renewals, key=lambda each: each.lease):
        later = now_ns + LEASE_S * NANO
        capped = case((LEASES.c.ends_at_ns < later, LEASES.c.ends_at_ns), else_=later)
        alive = and_(
            LEASES.c.expires_at_ns > now_ns - GRACE_S * NANO // 2,
            LEASES.c.ends_at_ns.is_(None) | (LEASES.c.ends_at_ns > now_ns),
        )
        returned = case((LEASES.c.returned < renewal.returned, renewal.returned), else_=LEASES.c.returned)
        end = case((alive, capped), else_=LEASES.c.expires_at_ns) if renewal.keep else LEASES.c.expires_at_ns
        connection.execute(
            update(LEASES).where(LEASES.c.id == renewal.lease).values(returned=returned, expires_at_ns=end)
        )
        found = find_lease(connection, renewal.lease)
        if found is not None and found.expires_at_ns > now_ns:
            ends[renewal.lease] = found.expires_at_ns
    return ends


def others_holding(connection: Connection, live: Any, lease: str) -> int:
    """How many other leases share the account."""
    return connection.scalar(select(func.count()).select_from(LEASES).where(live, LEASES.c.id != lease)) or 0


@dataclass(frozen=True, slots=True)
class Holder:
    """What one process holds of one scope of a budget, and what it has settled of it."""

    holder: str
    scope: Scope
    leased: int
    settled: int
    expires_at_ns: int


def holders(connection: Connection, budget: Budget, window: Window, now_ns: int) -> list[Holder]:
    """Those whose leases still count, who holds most first."""
    rest = outstanding().label("rest")
    found = connection.execute(
        select(LEASES.c.holder, LEASES.c.scope, rest, LEASES.c.settled, LEASES.c.expires_at_ns)
        .where(live_leases(budget, window, now_ns, None), rest > 0)
        .order_by(rest.desc(), LEASES.c.id)
    )
    return [Holder(row.holder, read_scope_key(row.scope), row.rest, row.settled, row.expires_at_ns) for row in found]
