"""Sums a period up: what makes the rows of `rollups`.

Quarters are summed up from their calls, all else from shorter periods where these have what is wanted. By how much
grows with the number of calls, so that sums stay fewer than calls: a period with few of them is cheaper to read than to
sum up. Summing reads what was committed and holds no lock meanwhile; what it found is kept if no call of the period was
written in between, which the writer says by taking the claim away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from secrets import randbits
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, or_, select, text, update

from outlay_collector.store.blocks import Block, cut, joined, regrouped
from outlay_collector.store.columns import read_columns
from outlay_collector.store.engine import reading
from outlay_collector.store.inserting import insert_rows
from outlay_collector.store.names import add_names, ids_of
from outlay_collector.store.packing import encode_durations, encode_figures
from outlay_collector.store.rolled import read_blocks
from outlay_collector.store.rollups import (
    DAY_NS,
    DIMENSIONS,
    GROUPINGS,
    HOUR_NS,
    LENGTHS_NS,
    MINUTE_NS,
    PART_IDS,
    PERIODS,
    QUARTER_NS,
    SIX_HOURS_NS,
    USER,
    WEEK_NS,
    Kept,
    hold_periods,
    kind_of,
    minutes_of,
)
from outlay_collector.store.schema import CALLS

Period = tuple[int, int]
"""Its length and start."""
Row = tuple[int, int, int, int, int, bytes, bytes]
"""Of `rollups`."""
Summed = Sequence[Row]

DETAILS_FOR_NS: Final = 3 * DAY_NS
"""How long quarters have their minutes, and their sums by all dimensions together."""
SETTLED_NS: Final = 60 * 1_000_000_000
_MADE_OF_PARTS: Final = (SIX_HOURS_NS, WEEK_NS)
_PART_OF: Final = {HOUR_NS: QUARTER_NS, SIX_HOURS_NS: HOUR_NS, DAY_NS: SIX_HOURS_NS, WEEK_NS: DAY_NS}
_REMOVE: Final = text(
    f"DELETE FROM rollups WHERE grouping IN ({', '.join(map(str, range(len(GROUPINGS))))}) "
    "AND length_ns = :length AND start_ns >= :start AND start_ns < :end"
)
"""The rollups of periods that begin then, by every grouping: those are named so that the key is of use."""
_DETAILS: Final = Kept.MINUTES | Kept.MINUTES_ONE | Kept.ALL
_LARGE: Final = [place for place in range(len(GROUPINGS)) if kind_of(place) & _DETAILS]
_REMOVE_LARGE: Final = text(
    f"DELETE FROM rollups WHERE grouping IN ({', '.join(map(str, _LARGE))}) "
    "AND length_ns = :length AND start_ns >= :start AND start_ns < :end"
)
_COLUMNS: Final = ("grouping", "length_ns", "start_ns", "part", "groups", "figures", "durations")
_ALL_THERE_IS: Final = (*DIMENSIONS, USER)


@dataclass(frozen=True, slots=True)
class Fewest:
    """From how many calls on a period is summed up, so that sums are fewer than calls and reading the rest is quick.

    `alone`: by each dimension alone; `together`: by all of them and, if there are `a_user` times as many calls as
    users, by user. A quarter with `a_minute` calls a minute has these by each dimension too.
    """

    alone: Mapping[int, int]
    together: Mapping[int, int]
    a_minute: int
    a_user: float


FEWEST: Final = Fewest(
    alone={QUARTER_NS: 250, HOUR_NS: 40, DAY_NS: 1},
    together={QUARTER_NS: 1_000, HOUR_NS: 250, DAY_NS: 250},
    a_minute=150,
    a_user=1.1,
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
        found = _sums(connection, _Names(connection, engine), period, now_ns, final, fewest)
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
    kept, summed = _sums(connection, _Names(connection), period, 0, True, FEWEST) or (Kept(0), [])
    _settle(connection, period, kept, PERIODS.c.start_ns == period[1])
    _keep(connection, period, summed)


class _Names:
    """The ids of names. Given an engine new ones are added at once, in a transaction of their own: whoever holds the
    connection may only read."""

    def __init__(self, connection: Connection, engine: Engine | None = None) -> None:
        self._connection, self._engine = connection, engine

    def __call__(self, names: Collection[str]) -> Mapping[str, int]:
        known = ids_of(self._connection, names)
        new = [name for name in names if name not in known]
        if new and self._engine is None:
            add_names(self._connection, new)
            known |= ids_of(self._connection, new)
        elif new and self._engine is not None:
            with self._engine.begin() as connection:
                add_names(connection, new)
                known |= ids_of(connection, new)
        return known


def forget_details(engine: Engine, now_ns: int) -> int:
    """Remove what quarters have only while they are young: the others' is read from hours. Returns of how many."""
    old = PERIODS.c.start_ns < now_ns - DETAILS_FOR_NS
    bits = int(_DETAILS)
    final = PERIODS.c.kept.op("&")(int(Kept.FINAL)) != 0
    have = and_(PERIODS.c.length_ns == QUARTER_NS, old, PERIODS.c.kept.op("&")(bits) != 0, ~final)
    with reading(engine) as connection:
        quarters = connection.execute(select(PERIODS.c.start_ns, PERIODS.c.kept).where(have)).all()
    for start_ns, kept in quarters:
        with engine.begin() as connection:
            hold_periods(connection)
            left = update(PERIODS).where(_this((QUARTER_NS, start_ns))).values(kept=kept & ~bits)
            if connection.execute(left.where(PERIODS.c.kept == kept)).rowcount:
                connection.execute(_REMOVE, {"length": MINUTE_NS, "start": start_ns, "end": start_ns + 1})
                connection.execute(_REMOVE_LARGE, {"length": QUARTER_NS, "start": start_ns, "end": start_ns + 1})
    return len(quarters)


def _this(period: Period) -> ColumnElement[bool]:
    return and_(PERIODS.c.length_ns == period[0], PERIODS.c.start_ns == period[1])


def _settle(connection: Connection, period: Period, kept: Kept, ours: ColumnElement[bool]) -> bool:
    done = update(PERIODS).where(_this(period), ours).values(stale=False, claim=None, kept=int(kept))
    return connection.execute(done).rowcount == 1


def _keep(connection: Connection, period: Period, summed: Summed) -> None:
    length_ns, start_ns = period
    for length in (length_ns, MINUTE_NS) if length_ns == QUARTER_NS else (length_ns,):
        connection.execute(_REMOVE, {"length": length, "start": start_ns, "end": start_ns + 1})
    insert_rows(connection, "rollups", _COLUMNS, summed)


def _sums(
    connection: Connection, names: _Names, period: Period, now_ns: int, final: bool, fewest: Fewest
) -> tuple[Kept, Summed] | None:
    """What to keep of a period; None where its parts are not ready."""
    length_ns, start_ns = period
    if length_ns in _MADE_OF_PARTS:
        return _of_parts(connection, period)
    calls = _number_of_calls(connection, start_ns, length_ns)
    kept = _wanted(period, calls, now_ns, final, fewest)
    if not kept:
        return kept, []
    if length_ns != QUARTER_NS and (parts := _of_parts(connection, period)) and parts[0] & kept == kept:
        return parts
    return _of_calls(connection, names, period, kept, 0 if final else fewest.a_user)


def _number_of_calls(connection: Connection, start_ns: int, length_ns: int) -> int:
    within = and_(CALLS.c.started_at_ns >= start_ns, CALLS.c.started_at_ns < start_ns + length_ns)
    return int(connection.scalar(select(func.count()).select_from(CALLS).where(within)) or 0)


def _wanted(period: Period, calls: int, now_ns: int, final: bool, fewest: Fewest) -> Kept:
    length_ns, start_ns = period
    if final:
        return Kept.ONE | Kept.ALL | Kept.USERS | Kept.FINAL
    if calls < fewest.alone[length_ns]:
        return Kept(0)
    kept = Kept.ONE
    if calls >= fewest.together[length_ns]:
        kept |= Kept.ALL | Kept.USERS
    if length_ns == QUARTER_NS and start_ns >= now_ns - DETAILS_FOR_NS:
        kept |= Kept.MINUTES
        if calls >= fewest.a_minute * (QUARTER_NS // MINUTE_NS):
            kept |= Kept.MINUTES_ONE
    return kept


def _of_calls(connection: Connection, names: _Names, period: Period, kept: Kept, a_user: float) -> tuple[Kept, Summed]:
    """From the calls themselves. Users are left out where there are not `a_user` times as many calls."""
    length_ns, start_ns = period
    calls = read_columns(connection, start_ns, start_ns + length_ns, names)
    if not len(calls.figures):
        return kept, []
    if kept & Kept.USERS:
        users = _by(calls, _ALL_THERE_IS, (USER,))
        if len(users.figures) * a_user > len(calls.figures):
            kept &= ~Kept.USERS
    full = _by(calls, _ALL_THERE_IS, DIMENSIONS)
    summed: list[Row] = []
    for place, names_ in enumerate(GROUPINGS):
        if kept & kind_of(place):
            block = users if names_ == (USER,) else full if names_ == DIMENSIONS else _by(full, DIMENSIONS, names_)
            summed += _rows(place, length_ns, start_ns, block)
        if (minutes := minutes_of(place)) and kept & minutes:
            minute = (calls.started_at_ns - start_ns) // MINUTE_NS
            ids = [calls.figures.ids[_ALL_THERE_IS.index(name)] for name in names_]
            summed += _rows(place, MINUTE_NS, start_ns, regrouped(calls, [minute, *ids]))
    return kept, summed


def _of_parts(connection: Connection, period: Period) -> tuple[Kept, Summed] | None:
    """What all parts of a period have kept, together; None where one of them is stale."""
    length_ns, start_ns = period
    part_ns, end_ns = _PART_OF[length_ns], start_ns + length_ns
    within = PERIODS.c.length_ns == part_ns, PERIODS.c.start_ns >= start_ns, PERIODS.c.start_ns < end_ns
    parts = connection.execute(select(PERIODS.c.stale, PERIODS.c.kept).where(*within)).all()
    if any(part.stale for part in parts):
        return None
    kept = Kept.ONE | Kept.ALL | Kept.USERS | Kept.FINAL
    for part in parts:
        kept &= Kept(part.kept)
    summed: list[Row] = []
    for place in range(len(GROUPINGS)):
        if kept & kind_of(place) and (
            blocks := [each for _, each in read_blocks(connection, place, part_ns, start_ns, end_ns)]
        ):
            block = joined(blocks)
            summed += _rows(place, length_ns, start_ns, regrouped(block, block.figures.ids))
    return kept, summed


def _by(block: Block, has: Sequence[str], wanted: Sequence[str]) -> Block:
    return regrouped(block, [block.figures.ids[has.index(name)] for name in wanted])


def _rows(grouping: int, length_ns: int, start_ns: int, block: Block) -> Iterator[Row]:
    for part, some in cut(block, PART_IDS) if kind_of(grouping) is Kept.USERS else [(0, block)]:
        figures, durations = encode_figures(some.figures), encode_durations(some)
        yield grouping, length_ns, start_ns, part, len(some.figures), figures, durations
