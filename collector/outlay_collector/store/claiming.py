"""Who sums a period up: it is claimed first, then summed up from what was committed, without a lock, and kept where the
claim still stands.

A period that is over is claimed whole: whoever writes a call into it takes the claim away. A quarter that is not over
is claimed up to an id (a token below zero): new calls have higher ids, so that only a change of one takes it away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from secrets import randbits
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, or_, select, update

from outlay_collector.store.engine import reading
from outlay_collector.store.rollups import DAY_NS, LENGTHS_NS, PERIODS, QUARTER_NS, Kept, hold_periods
from outlay_collector.store.schema import CALLS

Period = tuple[int, int]
"""Its length and start."""

SETTLED_NS: Final = 60 * 1_000_000_000
"""So old are calls before they are summed up: few are changed afterwards."""


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
    return _claim(engine, and_(_is_over(now_ns), PERIODS.c.stale, PERIODS.c.length_ns.in_(lengths_ns)), 1)


def claim_open(engine: Engine, now_ns: int, fewest_new: int = 1) -> Claim:
    """The quarters that are not over, up to the calls that came a minute ago: those to which so many may have come
    since they were summed up last."""
    not_over = and_(~_is_over(now_ns), PERIODS.c.start_ns < now_ns - SETTLED_NS, ~PERIODS.c.closed)
    open_ = and_(not_over, PERIODS.c.stale, PERIODS.c.length_ns == QUARTER_NS)
    with reading(engine) as connection:
        found = connection.execute(select(PERIODS.c.start_ns, PERIODS.c.held_id).where(open_)).all()
        last = last_id(connection) if found else 0
        starts = [start for start, held in found if _are_new(connection, start, held or 0, last, fewest_new)]
        until_id = _last_id_before(connection, now_ns - SETTLED_NS) if starts else 0
    if not starts:
        return NO_CLAIM
    return _claim(engine, and_(open_, PERIODS.c.start_ns.in_(starts)), -1, until_id)


def _are_new(connection: Connection, start_ns: int, held_id: int, last: int, fewest: int) -> bool:
    """Whether so many calls may be new to a quarter: at most as many as there are new ids, or calls at all."""
    if held_id:
        return last - held_id >= fewest
    at = CALLS.c.started_at_ns
    some = select(at).where(at >= start_ns, at < start_ns + QUARTER_NS).limit(fewest).subquery()
    return int(connection.scalar(select(func.count()).select_from(some)) or 0) >= fewest


def claim_day(engine: Engine, day_ns: int) -> Claim:
    """What of a day is not summed up for good."""
    return _claim(engine, unfinished(day_ns), 1)


def unfinished(day_ns: int) -> ColumnElement[bool]:
    """Of the periods of a day: those that are not summed up for good."""
    within = and_(PERIODS.c.length_ns <= DAY_NS, PERIODS.c.start_ns.between(day_ns, day_ns + DAY_NS - 1))
    return and_(within, or_(PERIODS.c.stale, PERIODS.c.kept.op("&")(int(Kept.FINAL)) == 0))


def last_id(connection: Connection) -> int:
    """The highest of a call. All of them up to it are committed, if the periods are held."""
    return int(connection.scalar(select(func.max(CALLS.c.id))) or 0)


def _is_over(now_ns: int) -> ColumnElement[bool]:
    return PERIODS.c.start_ns + PERIODS.c.length_ns < now_ns - SETTLED_NS


def _claim(engine: Engine, which: ColumnElement[bool], sign: int, until_id: int | None = None) -> Claim:
    with reading(engine) as connection:
        if connection.execute(select(PERIODS.c.start_ns).where(which).limit(1)).first() is None:
            return NO_CLAIM
    token = sign * (randbits(62) + 1)
    with engine.begin() as connection:
        hold_periods(connection)  # whoever marked one of them before has committed
        mine = update(PERIODS).where(which).values(claim=token).returning(PERIODS.c.length_ns, PERIODS.c.start_ns)
        periods = sorted((row.length_ns, row.start_ns) for row in connection.execute(mine))
        return Claim(token, periods, last_id(connection) if until_id is None else until_id)


def _last_id_before(connection: Connection, received_before_ns: int) -> int:
    """Of the calls that came before then, as far as calls are numbered in the order they come: looked for by halves."""
    low, high = 0, last_id(connection)
    while low < high:
        middle = (low + high + 1) // 2
        first = select(CALLS.c.received_at_ns).where(CALLS.c.id >= middle).order_by(CALLS.c.id).limit(1)
        if int(connection.scalar(first) or received_before_ns) < received_before_ns:
            low = middle
        else:
            high = middle - 1
    return low
