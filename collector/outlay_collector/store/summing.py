"""Sums a period up: what makes the rows of `rollups`.

Quarters, busy hours and days are summed up from their calls, six hours and weeks from shorter periods. By how much
grows with the number of calls, so that sums stay fewer than calls: a period with few of them is cheaper to read than to
sum up. Summing reads what was committed and holds no lock meanwhile; what it found is kept if no call of the period was
written in between, which the writer says by taking the claim away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from secrets import randbits
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, or_, select, text, update

from outlay_collector.store.engine import reading
from outlay_collector.store.inserting import insert_rows
from outlay_collector.store.rollups import (
    DAY_NS,
    DIMENSIONS,
    GROUPED,
    GROUPINGS,
    HOUR_NS,
    LENGTHS_NS,
    MEASURES,
    MINUTE_NS,
    PERIODS,
    QUARTER_NS,
    ROLLUPS,
    SIX_HOURS_NS,
    USER,
    WEEK_NS,
    Kept,
    each_measure_of_calls,
    hold_periods,
    kind_of,
)
from outlay_collector.store.schema import CALLS
from outlay_collector.store.sums import Groups, add, collect, columns_of_sums, finished, measures, regrouped, sums_of

Period = tuple[int, int]
"""Its length and start."""
Summed = list[tuple[int, int, int, Groups]]
"""Place of the grouping, length, start, and the groups by the values of that grouping's dimensions."""

MINUTES_FOR_NS: Final = 3 * DAY_NS
"""How long quarters have their minutes."""
SETTLED_NS: Final = 60 * 1_000_000_000
_MADE_OF_PARTS: Final = (SIX_HOURS_NS, WEEK_NS)
_PART_OF: Final = {HOUR_NS: QUARTER_NS, SIX_HOURS_NS: HOUR_NS, WEEK_NS: DAY_NS}
_PAGE: Final = 2_000
_DIMENSIONS: Final = slice(2, 2 + len(DIMENSIONS))
_MEASURED: Final = slice(2 + len(DIMENSIONS), 2 + len(DIMENSIONS) + len(MEASURES))
_REMOVE: Final = text(
    f"DELETE FROM rollups WHERE grouping IN ({', '.join(map(str, range(len(GROUPINGS))))}) "
    "AND length_ns = :length AND start_ns >= :start AND start_ns < :end"
)
"""The rollups of periods that begin then, by every grouping: those are named so that the key is of use."""
_PLACES: Final = {names: place for place, names in enumerate(GROUPINGS)}
_WIDE_FIRST: Final = sorted(range(len(GROUPINGS)), key=lambda place: -len(GROUPINGS[place]))


@dataclass(frozen=True, slots=True)
class Fewest:
    """From how many calls on a period is summed up, so that sums are fewer than calls and reading the rest is quick.

    `alone`: by each dimension alone; `together`: by several and, an hour or a day, by user, if there are `a_user` times
    as many calls as users. A quarter with `a_minute` calls a minute has these by each dimension too.
    """

    alone: Mapping[int, int]
    together: Mapping[int, int]
    a_minute: int
    a_user: int


FEWEST: Final = Fewest(
    alone={QUARTER_NS: 250, HOUR_NS: 40, DAY_NS: 1},
    together={QUARTER_NS: 1_000, HOUR_NS: 250, DAY_NS: 250},
    a_minute=150,
    a_user=4,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """Periods that somebody is about to sum up, the short ones first: the long ones are made of them."""

    token: int
    periods: Sequence[Period]


def claim_stale(engine: Engine, now_ns: int, lengths_ns: Sequence[int] = LENGTHS_NS) -> Claim:
    """All periods that are stale and over."""
    over = PERIODS.c.start_ns + PERIODS.c.length_ns < now_ns - SETTLED_NS
    stale = and_(PERIODS.c.stale, over, PERIODS.c.length_ns.in_(lengths_ns))
    with reading(engine) as connection:
        if connection.execute(select(PERIODS.c.start_ns).where(stale).limit(1)).first() is None:
            return Claim(0, ())
    return _claim(engine, stale)


def claim_day(engine: Engine, day_ns: int) -> Claim:
    """What of a day is not summed up for good."""
    return _claim(engine, unfinished(day_ns))


def unfinished(day_ns: int) -> ColumnElement[bool]:
    """Of the periods of a day: those that are not summed up for good."""
    within = and_(PERIODS.c.length_ns <= DAY_NS, PERIODS.c.start_ns.between(day_ns, day_ns + DAY_NS - 1))
    return and_(within, or_(PERIODS.c.stale, PERIODS.c.kept.op("&")(int(Kept.FINAL)) == 0))


def _claim(engine: Engine, which: ColumnElement[bool]) -> Claim:
    token = randbits(62)
    with engine.begin() as connection:
        hold_periods(connection)  # whoever marked one of them before has committed
        mine = update(PERIODS).where(which).values(claim=token).returning(PERIODS.c.length_ns, PERIODS.c.start_ns)
        return Claim(token, sorted((row.length_ns, row.start_ns) for row in connection.execute(mine)))


def sum_up(
    engine: Engine, period: Period, claim: Claim, now_ns: int, *, final: bool = False, fewest: Fewest = FEWEST
) -> bool:
    """Sum one period up and take it off the stale ones. False where a call came in between, or a part is stale.

    `final`: by everything, and for good, whatever number of calls there are.
    """
    with reading(engine) as connection:
        found = _sums(connection, period, now_ns, final, fewest)
    if found is None:
        return False
    with engine.begin() as connection:
        hold_periods(connection)
        kept, summed = found
        if is_ours := _settle(connection, period, kept, PERIODS.c.claim == claim.token):
            _keep(connection, period, summed)
        return is_ours


def sum_up_within(connection: Connection, period: Period) -> None:
    """The same, for good, in a transaction that holds the periods already."""
    kept, summed = _sums(connection, period, 0, True, FEWEST) or (Kept(0), [])
    _settle(connection, period, kept, PERIODS.c.start_ns == period[1])
    _keep(connection, period, summed)


def forget_minutes(engine: Engine, now_ns: int) -> int:
    """Remove the minutes of quarters that are too old to have them. Returns of how many."""
    old = PERIODS.c.start_ns < now_ns - MINUTES_FOR_NS
    bits = int(Kept.MINUTES | Kept.MINUTES_ONE)
    have = and_(PERIODS.c.length_ns == QUARTER_NS, old, PERIODS.c.kept.op("&")(bits) != 0)
    with reading(engine) as connection:
        quarters = connection.execute(select(PERIODS.c.start_ns, PERIODS.c.kept).where(have)).all()
    for start_ns, kept in quarters:
        with engine.begin() as connection:
            hold_periods(connection)
            left = update(PERIODS).where(_this((QUARTER_NS, start_ns))).values(kept=kept & ~bits)
            if connection.execute(left.where(PERIODS.c.kept == kept)).rowcount:
                connection.execute(_REMOVE, {"length": MINUTE_NS, "start": start_ns, "end": start_ns + QUARTER_NS})
    return len(quarters)


def _this(period: Period) -> ColumnElement[bool]:
    return and_(PERIODS.c.length_ns == period[0], PERIODS.c.start_ns == period[1])


def _settle(connection: Connection, period: Period, kept: Kept, ours: ColumnElement[bool]) -> bool:
    done = update(PERIODS).where(_this(period), ours).values(stale=False, claim=None, kept=int(kept))
    return connection.execute(done).rowcount == 1


def _keep(connection: Connection, period: Period, summed: Summed) -> None:
    length_ns, start_ns = period
    connection.execute(_REMOVE, {"length": length_ns, "start": start_ns, "end": start_ns + 1})
    if length_ns == QUARTER_NS:
        connection.execute(_REMOVE, {"length": MINUTE_NS, "start": start_ns, "end": start_ns + QUARTER_NS})
    names = ("grouping", "length_ns", "start_ns", "place", *GROUPED, *MEASURES, "latency", "ttft")
    insert_rows(connection, "rollups", names, chain.from_iterable(_columns(*each) for each in summed))


def _columns(grouping: int, length_ns: int, start_ns: int, groups: Groups) -> Iterator[tuple[Any, ...]]:
    places = [GROUPED.index(name) for name in GROUPINGS[grouping]]
    for place, (key, sums) in enumerate(groups.items()):
        values: list[str | None] = [None] * len(GROUPED)
        for at, value in zip(places, key, strict=True):
            values[at] = value
        yield (grouping, length_ns, start_ns, place, *values, *columns_of_sums(sums))


def _sums(
    connection: Connection, period: Period, now_ns: int, final: bool, fewest: Fewest
) -> tuple[Kept, Summed] | None:
    """What to keep of a period; None where its parts are not ready."""
    length_ns, start_ns = period
    if length_ns in _MADE_OF_PARTS:
        return _of_parts(connection, period)
    calls = _number_of_calls(connection, start_ns, length_ns)
    kept = _wanted(period, calls, now_ns, final, fewest)
    if not kept:
        return kept, []
    if length_ns == HOUR_NS and (parts := _of_parts(connection, period)) and parts[0] & kept == kept:
        return parts
    full, users, minutes = _of_calls(connection, period, kept)
    if len(users) * fewest.a_user > calls and not final:
        kept &= ~Kept.USERS
    summed = [(place, length_ns, start_ns, groups) for place, groups in _groupings(full, users, kept)]
    for at_ns, minute in minutes.items():
        by = _groupings(minute, {}, Kept.ONE) if kept & Kept.MINUTES_ONE else [(_PLACES[()], minute)]
        summed += [(place, MINUTE_NS, at_ns, groups) for place, groups in by]
    return kept, summed


def _number_of_calls(connection: Connection, start_ns: int, length_ns: int) -> int:
    within = and_(CALLS.c.started_at_ns >= start_ns, CALLS.c.started_at_ns < start_ns + length_ns)
    return int(connection.scalar(select(func.count()).select_from(CALLS).where(within)) or 0)


def _wanted(period: Period, calls: int, now_ns: int, final: bool, fewest: Fewest) -> Kept:
    length_ns, start_ns = period
    users = Kept(0) if length_ns == QUARTER_NS else Kept.USERS
    if final:
        return Kept.ONE | Kept.PAIRS | Kept.ALL | Kept.FINAL | users
    if calls < fewest.alone[length_ns]:
        return Kept(0)
    kept = Kept.ONE
    if calls >= fewest.together[length_ns]:
        kept |= Kept.PAIRS | users | (Kept.ALL if length_ns == DAY_NS else Kept(0))
    if length_ns == QUARTER_NS and start_ns >= now_ns - MINUTES_FOR_NS:
        kept |= Kept.MINUTES
        if calls >= fewest.a_minute * (QUARTER_NS // MINUTE_NS):
            kept |= Kept.MINUTES_ONE
    return kept


def _of_calls(connection: Connection, period: Period, kept: Kept) -> tuple[Groups, Groups, dict[int, Groups]]:
    """The calls of a period by all dimensions together, by user, and by minute and the dimensions its minutes need."""
    length_ns, start_ns = period
    columns = [CALLS.c.started_at_ns, CALLS.c[USER], *(CALLS.c[name] for name in DIMENSIONS), *each_measure_of_calls()]
    within = and_(CALLS.c.started_at_ns >= start_ns, CALLS.c.started_at_ns < start_ns + length_ns)
    wanted = select(*columns, CALLS.c.latency_bin, CALLS.c.ttft_bin).where(within)
    with_users, with_minutes, by_minute = bool(kept & Kept.USERS), kept & Kept.MINUTES, kept & Kept.MINUTES_ONE
    full: Groups = {}
    users: Groups = {}
    minutes: dict[int, Groups] = {}
    for row in connection.execute(wanted, execution_options={"yield_per": _PAGE}):
        values = tuple(row)
        figures, latency, ttft = measures(values[_MEASURED]), values[-2], values[-1]
        collect(full, values[_DIMENSIONS], figures, latency, ttft)
        if with_users:
            collect(users, (values[1],), figures, latency, ttft)
        if with_minutes:
            minute = minutes.setdefault(values[0] - values[0] % MINUTE_NS, {})
            collect(minute, values[_DIMENSIONS] if by_minute else (), figures, latency, ttft)
    return finished(full), finished(users), {at_ns: finished(minute) for at_ns, minute in minutes.items()}


def _groupings(full: Groups, users: Groups, kept: Kept) -> Iterator[tuple[int, Groups]]:
    """Every grouping that is kept, each made of the smallest one that has all its dimensions."""
    made: dict[int, Groups] = {_PLACES[DIMENSIONS]: full}
    for place in _WIDE_FIRST:
        if not kept & kind_of(place):
            continue
        if GROUPINGS[place] == (USER,):
            yield place, users
        elif GROUPINGS[place] == DIMENSIONS:
            yield place, full
        else:
            made[place] = _made_of(made, place)
            yield place, made[place]


def _made_of(made: dict[int, Groups], place: int) -> Groups:
    wanted = GROUPINGS[place]
    source = min((p for p in made if set(wanted) <= set(GROUPINGS[p])), key=lambda p: len(made[p]))
    return regrouped(made[source], [GROUPINGS[source].index(name) for name in wanted])


def _of_parts(connection: Connection, period: Period) -> tuple[Kept, Summed] | None:
    """What all parts of a period have kept, together; None where one of them is stale."""
    length_ns, start_ns = period
    part_ns = _PART_OF[length_ns]
    within = PERIODS.c.start_ns >= start_ns, PERIODS.c.start_ns < start_ns + length_ns
    parts = connection.execute(
        select(PERIODS.c.stale, PERIODS.c.kept).where(PERIODS.c.length_ns == part_ns, *within)
    ).all()
    if any(part.stale for part in parts):
        return None
    kept = Kept.ONE | Kept.PAIRS | Kept.ALL | Kept.USERS | Kept.FINAL
    for part in parts:
        kept &= Kept(part.kept)
    summed: Summed = []
    for place, names in enumerate(GROUPINGS):
        if kept & kind_of(place):
            columns = [*(ROLLUPS.c[name] for name in names), *(ROLLUPS.c[name] for name in MEASURES)]
            at = ROLLUPS.c.start_ns >= start_ns, ROLLUPS.c.start_ns < start_ns + length_ns
            rows = select(*columns, ROLLUPS.c.latency, ROLLUPS.c.ttft).where(
                ROLLUPS.c.grouping == place, ROLLUPS.c.length_ns == part_ns, *at
            )
            groups: Groups = {}
            for row in connection.execute(rows, execution_options={"yield_per": _PAGE}):
                values = tuple(row)
                add(groups, values[: len(names)], sums_of(values[len(names) : -2], values[-2], values[-1]))
            summed.append((place, length_ns, start_ns, groups))
    return kept, summed
