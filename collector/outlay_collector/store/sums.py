"""What makes the rows of `rollups` of one period: its calls or, where these have what is wanted, shorter periods. A
quarter that holds some of its calls goes on from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np
from sqlalchemy import ColumnElement, Connection, Engine, and_, text

from outlay_collector.store.blocks import Block, joined, regrouped
from outlay_collector.store.claiming import Period
from outlay_collector.store.columns import ANY_CALLS, CallIds, Columns, read_columns
from outlay_collector.store.fetching import PackedBlock, read_packed, unpacked
from outlay_collector.store.grains import DAY_NS, HOUR_NS, MINUTES, QUARTER_NS, SIX_HOURS_NS, WEEK_NS, Grain, whole
from outlay_collector.store.names import add_names, ids_of
from outlay_collector.store.packing import decode_ranked
from outlay_collector.store.pieces import Pieces, Row
from outlay_collector.store.rollups import (
    DIMENSIONS,
    GROUPINGS,
    PERIODS,
    SERIES_PARTS,
    USER,
    Kept,
    groupings_in,
    kind_of,
)

Summed = Sequence[Row]

_PART_OF: Final = {HOUR_NS: QUARTER_NS, SIX_HOURS_NS: HOUR_NS, DAY_NS: SIX_HOURS_NS, WEEK_NS: DAY_NS}
_ALL_THERE_IS: Final = (*DIMENSIONS, USER)
_NO_DIMENSION: Final = GROUPINGS.index(())
_USERS: Final = GROUPINGS.index((USER,))


class Held(NamedTuple):
    """What a quarter has kept, of its calls up to `until_id`, which all began before `until_ns`."""

    kept: Kept
    until_id: int
    until_ns: int


NOTHING_HELD: Final = Held(Kept(0), 0, 0)
_HELD: Final = text(
    "SELECT kept, held_id, held_until_ns FROM rollup_periods WHERE length_ns = :length AND start_ns = :start"
)
_STATES: Final = text(
    "SELECT start_ns, stale, kept FROM rollup_periods "
    "WHERE length_ns = :length AND start_ns >= :start AND start_ns < :end"
)
_NAMES_KNOWN: Final = 50_000
"""More are not remembered: a period may have any number of users."""


class Names:
    """The ids of names, remembered. Given an engine new ones are added at once, in a transaction of their own: whoever
    holds the connection may only read, and need not see them."""

    def __init__(self, connection: Connection, engine: Engine | None = None) -> None:
        self._connection, self._engine = connection, engine
        self._known: dict[str, int] = {}

    def __call__(self, names: Mapping[str, int]) -> Mapping[str, int]:
        """Of names and how many calls have each. Of new ones those with most calls have the lowest ids."""
        if len(self._known) > _NAMES_KNOWN:
            self._known = {}
        if unknown := [name for name in names if name not in self._known]:
            self._known |= ids_of(self._connection, unknown)
            new = [name for name in unknown if name not in self._known]
            self._add(sorted(new, key=lambda name: (-names[name], name)))
        return self._known

    def _add(self, new: Sequence[str]) -> None:
        if new and self._engine is None:
            add_names(self._connection, new)
            self._known |= ids_of(self._connection, new)
        elif new and self._engine is not None:
            with self._engine.begin() as connection:
                add_names(connection, new)
                self._known |= ids_of(connection, new)


def this(period: Period) -> ColumnElement[bool]:
    return and_(PERIODS.c.length_ns == period[0], PERIODS.c.start_ns == period[1])


def held_by(connection: Connection, period: Period) -> Held:
    """A period that is not stale holds all its calls, and is never asked."""
    row = connection.execute(_HELD, {"length": period[0], "start": period[1]}).first()
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
    pieces = {key: Pieces(*key) for key in _wanted(kept, length_ns)}
    if held.until_id:
        for grain in {grain for _, grain in pieces}:
            places = [place for place, of in pieces if of == grain]
            for place, _, part, packed in read_packed(connection, places, grain, start_ns, start_ns + 1):
                pieces[place, grain].add_packed(part, packed)
    until_ns = held.until_ns
    for calls in read_columns(connection, start_ns, start_ns + length_ns, names, CallIds(held.until_id, until_id)):
        _add(pieces, calls, start_ns)
        until_ns = max(until_ns, int(calls.started_at_ns.max()) + 1)
    if not until_ns:
        return kept, [], 0
    summed = {key: list(some.rows(start_ns)) for key, some in pieces.items()}
    users, everything = (_USERS, whole(length_ns)), (_NO_DIMENSION, whole(length_ns))
    if kept & Kept.USERS and _users(summed[users]) * a_user > _calls(summed[everything]):
        kept &= ~Kept.USERS
        del summed[users]
    return kept, [row for rows in summed.values() for row in rows], until_ns


def _wanted(kept: Kept, length_ns: int) -> Iterator[tuple[int, Grain]]:
    """The groupings of a period, and of a quarter's minutes."""
    for place in range(len(GROUPINGS)):
        if kept & kind_of(place):
            yield place, whole(length_ns)
    for place in groupings_in(MINUTES, kept):
        yield place, MINUTES


def _add(pieces: Mapping[tuple[int, Grain], Pieces], calls: Columns, start_ns: int) -> None:
    """`start_ns`: of the period that any series is of."""
    full = _by(calls, _ALL_THERE_IS, DIMENSIONS)
    for (place, grain), some in pieces.items():
        names = GROUPINGS[place]
        if grain.is_series:
            ids = [calls.figures.ids[_ALL_THERE_IS.index(name)] for name in names]
            some.add(regrouped(calls, [*ids, (calls.started_at_ns - start_ns) // grain.length_ns]))
        elif place == _USERS:
            some.add(_by(calls, _ALL_THERE_IS, names))
        else:
            some.add(full if names == DIMENSIONS else _by(full, DIMENSIONS, names))


def _users(rows: Sequence[Row]) -> int:
    return sum(row.packed.groups for row in rows)


def _calls(rows: Sequence[Row]) -> int:
    """By the rows of no dimension."""
    return sum(int(decode_ranked(row.packed.ranked, 0, row.packed.groups).measures[0].sum()) for row in rows)


def of_parts(connection: Connection, period: Period) -> tuple[Kept, Summed] | None:
    """What all parts of a period have kept, together; None where one of them is stale."""
    length_ns, start_ns = period
    part_ns, end_ns = _PART_OF[length_ns], start_ns + length_ns
    parts = connection.execute(_STATES, {"length": part_ns, "start": start_ns, "end": end_ns}).all()
    if any(part.stale for part in parts):
        return None
    kept = Kept.ONE | Kept.ALL | Kept.USERS | Kept.FINAL
    for state in parts:
        kept &= Kept(state.kept)
    places = [place for place in range(len(GROUPINGS)) if kept & kind_of(place)]
    summed: list[Row] = []
    packed = read_packed(connection, places, whole(part_ns), start_ns, end_ns)
    for place, blocks in groupby(packed, lambda each: each[0]):
        pieces = Pieces(place, whole(length_ns))
        for _, _, part, block in blocks:
            pieces.add_packed(part, block)
        summed += pieces.rows(start_ns)
    return kept, summed


def of_day(connection: Connection, names: Names, day_ns: int, grain: Grain, kept: Kept) -> Summed | None:
    """A series of a day that has kept that: of the rows of its periods and, where there are none, of their calls. None
    where one of them is stale."""
    listed = connection.execute(_STATES, {"length": grain.length_ns, "start": day_ns, "end": day_ns + DAY_NS}).all()
    if any(period.stale for period in listed):
        return None
    pieces = {place: Pieces(place, grain) for place in groupings_in(grain, kept)}
    packed = read_packed(connection, pieces, whole(grain.length_ns), day_ns, day_ns + DAY_NS, SERIES_PARTS)
    for place, blocks in groupby(packed, lambda each: each[0]):
        of_all = joined([_placed(place, start_ns - day_ns, grain, one) for _, start_ns, _, one in blocks])
        pieces[place].add(regrouped(of_all, of_all.figures.ids))
    for period in listed:
        left = {(place, grain): some for place, some in pieces.items() if not period.kept & kind_of(place)}
        if left:
            for calls in read_columns(connection, period.start_ns, period.start_ns + grain.length_ns, names):
                _add(left, calls, day_ns)
    return [row for some in pieces.values() for row in some.rows(day_ns)]


def _placed(grouping: int, after_ns: int, grain: Grain, packed: PackedBlock) -> Block:
    """A period's block as a series has it."""
    block = unpacked(grouping, whole(grain.length_ns), packed)
    place = np.full(len(block.figures), after_ns // grain.length_ns)
    return replace(block, figures=replace(block.figures, ids=[*block.figures.ids, place]))


def _by(block: Block, has: Sequence[str], wanted: Sequence[str]) -> Block:
    return regrouped(block, [block.figures.ids[has.index(name)] for name in wanted])
