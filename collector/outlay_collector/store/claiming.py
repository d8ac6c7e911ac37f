"""Who sums a period up: it is claimed first, then summed up from what was committed, without a lock, and kept where the
claim still stands.

A period that is over is claimed whole: whoever writes a call into it takes the claim away. A quarter that is not over
is claimed up to an id (a token below zero): new calls have higher ids, so that only a change of one takes it away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from secrets import randbits
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Engine, and_, bindparam, or_, select, text, update

from outlay_collector.store.engine import reading
from outlay_collector.store.grains import DAY_NS, LENGTHS_NS, QUARTER_NS
from outlay_collector.store.marking import hold_periods
from outlay_collector.store.rollups import PERIODS, Kept

Period = tuple[int, int]
"""Its length and start."""

SETTLED_NS: Final = 60 * 1_000_000_000
"""So long ago a period has ended before it is summed up: few calls of it are still under way."""
_REPORTED_NS: Final = 20 * 1_000_000_000
"""So long ago a call has come before an open quarter holds it: who else reports it, and so changes it, has mostly done
so."""
_OVER: Final = PERIODS.c.start_ns + PERIODS.c.length_ns < bindparam("settled_ns", type_=BigInteger)
_BEGUN: Final = PERIODS.c.start_ns < bindparam("reported_ns", type_=BigInteger)
_STALE: Final = and_(_OVER, PERIODS.c.stale, PERIODS.c.length_ns.in_(bindparam("lengths_ns", expanding=True)))
_OPEN: Final = and_(~_OVER, _BEGUN, ~PERIODS.c.closed, PERIODS.c.stale, PERIODS.c.length_ns == QUARTER_NS)
_ANY_STALE: Final = select(PERIODS.c.start_ns).where(_STALE).limit(1)
_ALL_OPEN: Final = select(PERIODS.c.start_ns, PERIODS.c.held_id).where(_OPEN)
"""Made once: they are asked every few seconds, and mostly there is nothing to do."""
_COUNT_FIRST: Final = text(
    "SELECT count(*) FROM (SELECT 1 FROM calls WHERE started_at_ns >= :start AND started_at_ns < :end LIMIT :most) AS f"
)
_COUNT_NEW: Final = text(
    "SELECT count(*), count(*) FILTER (WHERE id > :after) FROM calls "
    "WHERE started_at_ns >= :start AND started_at_ns < :end AND id + 0 <= :until"
)
"""A sum, so that no database looks for it by id."""
_LAST: Final = text("SELECT max(id) FROM calls")
_LAST_BEFORE: Final = text(
    "WITH RECURSIVE steps (id, step) AS (SELECT CAST(0 AS BIGINT), CAST(:step AS BIGINT) UNION ALL "
    "SELECT id + CASE WHEN (SELECT received_at_ns < :before_ns FROM calls WHERE calls.id >= steps.id + step "
    "ORDER BY calls.id LIMIT 1) THEN step ELSE 0 END, step / 2 FROM steps WHERE step > 0) SELECT max(id) FROM steps"
)
"""Steps of half the length each, taken where the next call came before."""
_SHARE: Final = 32
"""Of even traffic half a minute's calls, towards the end of a quarter."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Periods that somebody is about to sum up, the short ones first: the long ones are made of them. No call with a
    higher id than `until_id` is in what a quarter is going to hold."""

    token: int
    periods: Sequence[Period]
    until_id: int = 0


NO_CLAIM: Final = Claim(0, ())


def claim_stale(engine: Engine, now_ns: int, lengths_ns: Sequence[int] = LENGTHS_NS) -> Claim:
    """All periods that are stale and over."""
    which = {"settled_ns": now_ns - SETTLED_NS, "lengths_ns": lengths_ns}
    with reading(engine) as connection:
        if connection.execute(_ANY_STALE, which).first() is None:
            return NO_CLAIM
    return _claim(engine, _STALE, which, 1)


def claim_open(engine: Engine, now_ns: int, fewest_new: int = 1) -> Claim:
    """The quarters that are not over, up to the calls that came a while ago: those to which so many have come since
    they were summed up last, or a share of what they have."""
    which = {"settled_ns": now_ns - SETTLED_NS, "reported_ns": now_ns - _REPORTED_NS}
    with reading(engine) as connection:
        found = connection.execute(_ALL_OPEN, which).all()
        last = last_id(connection) if found else 0
        some = [(start, held or 0) for start, held in found if _may_be_new(connection, start, held, last, fewest_new)]
        until_id = _last_id_before(connection, which["reported_ns"], last) if some else 0
        starts = [start for start, held in some if are_enough(*counted(connection, start, held, until_id), fewest_new)]
    if not starts:
        return NO_CLAIM
    these = and_(_OPEN, PERIODS.c.start_ns.in_(starts))
    return _claim(engine, these, which, -1, until_id)


def _may_be_new(connection: Connection, start_ns: int, held_id: int | None, last: int, fewest: int) -> bool:
    """Whether so many calls may be new to a quarter: at most as many as there are new ids, or calls at all."""
    if held_id:
        return last - held_id >= fewest
    first = {"start": start_ns, "end": start_ns + QUARTER_NS, "most": fewest}
    return int(connection.scalar(_COUNT_FIRST, first) or 0) >= fewest


def counted(connection: Connection, start_ns: int, after_id: int, until_id: int) -> tuple[int, int]:
    """How many calls with ids up to that one a quarter has, and how many of them come after the other."""
    within = {"start": start_ns, "end": start_ns + QUARTER_NS, "after": after_id, "until": until_id}
    calls, new = connection.execute(_COUNT_NEW, within).one()
    return calls, new


def are_enough(calls: int, new: int, fewest: int) -> bool:
    """Whether it pays to have a quarter hold that many new ones of its calls too."""
    return new >= max(fewest, (calls - new) // _SHARE)


def claim_day(engine: Engine, day_ns: int) -> Claim:
    """What of a day is not summed up for good."""
    return _claim(engine, unfinished(day_ns), {}, 1)


def unfinished(day_ns: int) -> ColumnElement[bool]:
    """Of the periods of a day: those that are not summed up for good."""
    within = and_(PERIODS.c.length_ns <= DAY_NS, PERIODS.c.start_ns.between(day_ns, day_ns + DAY_NS - 1))
    return and_(within, or_(PERIODS.c.stale, PERIODS.c.kept.op("&")(int(Kept.FINAL)) == 0))


def last_id(connection: Connection) -> int:
    """The highest of a call. All of them up to it are committed, if the periods are held."""
    return int(connection.scalar(_LAST) or 0)


def _claim(
    engine: Engine, which: ColumnElement[bool], values: Mapping[str, Any], sign: int, until_id: int | None = None
) -> Claim:
    token = sign * (randbits(62) + 1)
    with engine.begin() as connection:
        hold_periods(connection)  # whoever marked one of them before has committed
        mine = update(PERIODS).where(which).values(claim=token).returning(PERIODS.c.length_ns, PERIODS.c.start_ns)
        periods = sorted((row.length_ns, row.start_ns) for row in connection.execute(mine, values))
        return Claim(token, periods, last_id(connection) if until_id is None else until_id)


def _last_id_before(connection: Connection, received_before_ns: int, last: int) -> int:
    """Of the calls that came before then, as far as calls are numbered in the order they come."""
    looked_for = {"before_ns": received_before_ns, "step": 1 << last.bit_length()}
    return int(connection.scalar(_LAST_BEFORE, looked_for) or 0)
