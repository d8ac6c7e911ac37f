"""Takes away what no budget asks about any more: settlements of windows that are over, leases and accounts nobody uses.

What calls cost is not among it: that is in the calls.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, or_, select

from outlay_collector.periods import from_ns, to_ns
from outlay_collector.store.budgets import ACCOUNTS, GRACE_S, LEASES, NANO, SETTLEMENTS
from outlay_collector.store.definitions import definitions
from outlay_collector.store.easings import EASINGS
from outlay_collector.store.refusals import REFUSALS

LATE: Final = timedelta(days=2)
"""How long after its window what was settled in it is kept, and a lease after its end."""
REFUSALS_KEPT: Final = timedelta(days=90)
_AT_ONCE: Final = 10_000


def prune(connection: Connection, now_ns: int) -> int:
    """Delete some of it. Returns how many rows; 0 when nothing is left to do."""
    now = from_ns(now_ns)
    late_ns = to_ns(now - LATE)
    defined = [definition.budget for definition in definitions(connection, now_ns)]
    over = [
        and_(SETTLEMENTS.c.budget == budget.name, SETTLEMENTS.c.at_ns < to_ns(budget.window(now).start - LATE))
        for budget in defined
    ]
    undefined = SETTLEMENTS.c.budget.not_in([budget.name for budget in defined])
    over.append(and_(undefined, SETTLEMENTS.c.at_ns < late_ns))
    settled = exists().where(SETTLEMENTS.c.lease == LEASES.c.id)
    ended = LEASES.c.expires_at_ns < late_ns - GRACE_S * NANO
    held = exists().where(LEASES.c.budget == ACCOUNTS.c.budget, LEASES.c.scope == ACCOUNTS.c.scope)
    quiet = or_(ACCOUNTS.c.refused_at_ns.is_(None), ACCOUNTS.c.refused_at_ns < late_ns)
    return sum(
        (
            _some(connection, SETTLEMENTS.c.id, or_(*over)),
            _some(connection, LEASES.c.id, and_(ended, ~settled)),
            connection.execute(delete(ACCOUNTS).where(quiet, ~held)).rowcount,
            _some(connection, REFUSALS.c.id, REFUSALS.c.at_ns < to_ns(now - REFUSALS_KEPT)),
            connection.execute(delete(EASINGS).where(EASINGS.c.until_ns < late_ns)).rowcount,
        )
    )


def _some(connection: Connection, key: Any, condition: ColumnElement[bool]) -> int:
    """A bounded number at a time: the writer waits meanwhile."""
    some = select(key).where(condition).limit(_AT_ONCE)
    return connection.execute(delete(key.table).where(key.in_(some))).rowcount
