"""What makes the rows of `rollups` of one period: its calls or, where these have what is wanted, shorter periods. A
quarter that holds some of its calls goes on from there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, and_, select

from outlay_collector.store.blocks import Block, cut, joined, regrouped
from outlay_collector.store.claiming import Period
from outlay_collector.store.columns import ANY_CALLS, CallIds, Columns, read_columns
from outlay_collector.store.names import add_names, ids_of
from outlay_collector.store.packing import encode_durations, encode_figures
from outlay_collector.store.rolled import read_blocks
from outlay_collector.store.rollups import (
    DAY_NS,
    DIMENSIONS,
    GROUPINGS,
    HOUR_NS,
    MINUTE_NS,
    PART_IDS,
    PERIODS,
    QUARTER_NS,
    SIX_HOURS_NS,
    USER,
    WEEK_NS,
    Kept,
    kind_of,
    minutes_of,
)

Row = tuple[int, int, int, int, int, bytes, bytes]
"""Of `rollups`."""
Summed = Sequence[Row]

_PART_OF: Final = {HOUR_NS: QUARTER_NS, SIX_HOURS_NS: HOUR_NS, DAY_NS: SIX_HOURS_NS, WEEK_NS: DAY_NS}
_ALL_THERE_IS: Final = (*DIMENSIONS, USER)


class Held(NamedTuple):
    """What a quarter has kept, of its calls up to `until_id`, which all began before `until_ns`."""

    kept: Kept
    until_id: int
    until_ns: int


NOTHING_HELD: Final = Held(Kept(0), 0, 0)


class Names:
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


def this(period: Period) -> ColumnElement[bool]:
    return and_(PERIODS.c.length_ns == period[0], PERIODS.c.start_ns == period[1])


def held_by(connection: Connection, period: Period) -> Held:
    """A period that is not stale holds all its calls, and is never asked."""
    wanted = select(PERIODS.c.kept, PERIODS.c.held_id, PERIODS.c.held_until_ns).where(this(period))
    row = connection.execute(wanted).first()
    if row is None or row.held_id is None or row.held_until_ns is None:
        return NOTHING_HELD
    return Held(Kept(row.kept), row.held_id, row.held_until_ns)


def of_calls(
    connection: Connection,
    names: Names,
    period: Period,
    kept: Kept,
    a_user: float,
    held: Held = NOTHING_HELD,
    until_id: int = ANY_CALLS.until,
) -> tuple[Kept, Summed, int]:
    """What to keep, from what is held, if it is anything, and the calls that came after it, and when they had all
    begun. Users are left out where there are not `a_user` times as many calls."""
    length_ns, start_ns = period
    calls = read_columns(connection, start_ns, start_ns + length_ns, names, CallIds(held.until_id, until_id))
    if not len(calls.figures) and not held.until_id:
        return kept, [], 0
    sums = _Sums(connection, period, calls, held)
    if kept & Kept.USERS and sums.users() * a_user > sums.calls():
        kept &= ~Kept.USERS
    summed: list[Row] = []
    for place in range(len(GROUPINGS)):
        if kept & kind_of(place):
            summed += _rows(place, length_ns, start_ns, sums.by(place))
        if (minutes := minutes_of(place)) and kept & minutes:
            summed += _rows(place, MINUTE_NS, start_ns, sums.by_minute(place))
    last_ns = int(calls.started_at_ns.max()) + 1 if len(calls.figures) else 0
    return kept, summed, max(held.until_ns, last_ns)


class _Sums:
    """Of the calls of a period and what it holds."""

    def __init__(self, connection: Connection, period: Period, calls: Columns, held: Held) -> None:
        self._connection, self._calls, self._held = connection, calls, held
        self._length_ns, self._start_ns = period
        self._full = _by(calls, _ALL_THERE_IS, DIMENSIONS)
        self._users: Block | None = None

    def users(self) -> int:
        self._users = self.by(GROUPINGS.index((USER,)))
        return len(self._users.figures)

    def calls(self) -> int:
        return int(self.by(GROUPINGS.index(())).figures.measures[0].sum())

    def by(self, place: int) -> Block:
        names = GROUPINGS[place]
        if USER in names and self._users is not None:
            return self._users
        block = _by(self._calls, _ALL_THERE_IS, names) if USER in names else self._of_full(names)
        return self._with_held(place, self._length_ns, block)

    def by_minute(self, place: int) -> Block:
        minute = (self._calls.started_at_ns - self._start_ns) // MINUTE_NS
        ids = [self._calls.figures.ids[_ALL_THERE_IS.index(name)] for name in GROUPINGS[place]]
        return self._with_held(place, MINUTE_NS, regrouped(self._calls, [minute, *ids]))

    def _of_full(self, names: Sequence[str]) -> Block:
        return self._full if names == DIMENSIONS else _by(self._full, DIMENSIONS, names)

    def _with_held(self, place: int, length_ns: int, block: Block) -> Block:
        if not self._held.until_id:
            return block
        held = [each for _, each in read_blocks(self._connection, place, length_ns, self._start_ns, self._start_ns + 1)]
        return _together([*held, block])


def of_parts(connection: Connection, period: Period) -> tuple[Kept, Summed] | None:
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
            summed += _rows(place, length_ns, start_ns, _together(blocks))
    return kept, summed


def _together(blocks: Sequence[Block]) -> Block:
    block = joined(blocks)
    return regrouped(block, block.figures.ids)


def _by(block: Block, has: Sequence[str], wanted: Sequence[str]) -> Block:
    return regrouped(block, [block.figures.ids[has.index(name)] for name in wanted])


def _rows(grouping: int, length_ns: int, start_ns: int, block: Block) -> Iterator[Row]:
    for part, some in cut(block, PART_IDS) if kind_of(grouping) is Kept.USERS else [(0, block)]:
        figures, durations = encode_figures(some.figures), encode_durations(some)
        yield grouping, length_ns, start_ns, part, len(some.figures), figures, durations
