"""What quarters that are not over hold already, so that a question does not read a quarter of an hour of calls.

It grows by the calls that came since, a few hundred or a share of what there is at a time: each is read once for it,
and put together with what is there.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Engine

from outlay_collector.store.claiming import Claim, Period, are_enough, counted
from outlay_collector.store.engine import reading
from outlay_collector.store.grains import QUARTER_NS
from outlay_collector.store.rollups import Kept
from outlay_collector.store.summing import FEWEST, Fewest, Found, keep_ours, wanted
from outlay_collector.store.sums import NOTHING_HELD, Held, Names, Summed, held_by, of_calls

FEWEST_NEW: Final = 250
"""So few are read in a millisecond; growing takes thirty and more."""


def grow(
    engine: Engine, period: Period, claim: Claim, now_ns: int, fewest: Fewest = FEWEST, fewest_new: int = FEWEST_NEW
) -> bool:
    """Have a quarter hold its calls up to the claim's id, if enough are new. Whether it does now."""
    with reading(engine) as connection:
        held = held_by(connection, period)
        calls, new = counted(connection, period[1], held.until_id, claim.until_id)
        if not are_enough(calls, new, fewest_new) or claim.until_id <= held.until_id:
            return False
        kept = wanted(period, calls, now_ns, False, fewest)
        if calls - new >= fewest.users[QUARTER_NS] and not held.kept & Kept.USERS:
            kept &= ~Kept.USERS  # they were too many: whether they still are is seen when the quarter is over
        found = _sums(connection, Names(connection, engine), period, kept, held, claim.until_id, fewest.a_user)
    kept, summed, until_ns = found
    return keep_ours(engine, [Found(period, kept, summed, claim.until_id, until_ns, stale=True)], claim) == 1


def _sums(
    connection: Connection, names: Names, period: Period, kept: Kept, held: Held, until_id: int, a_user: float
) -> tuple[Kept, Summed, int]:
    if not kept:
        return kept, [], 0
    if kept & ~held.kept:
        held = NOTHING_HELD  # it has less than is wanted
    return of_calls(connection, names, period, kept, a_user, held, until_id)
