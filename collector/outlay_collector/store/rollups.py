"""Sums of calls by period, so that a question about a month does not read a month of calls.

A period is a quarter of an hour, into which the days of every time zone fall whole, an hour, six hours, a day or a week
of UTC. It is stale from the moment a call in it is written or changed, in that call's own transaction, until it is
summed up again; a stale period is read from its calls. So figures are exact at any moment, and nothing has to keep pace
with the writer. A period that is not listed has no calls.

What a period is summed up by grows with its calls, so that sums stay few beside them: `store.summing` decides, `kept`
says what there is, and what is not there is read from shorter periods and in the end from calls. All groups of a period
are three rows (`Section`), columns of figures and of histograms (`store.blocks`). The last days have their minutes as
well, a quarter's in one block; what the hours and quarters of a day have is in one block besides, for zones whose days
and hours are none of UTC's. Sessions, traces and tags are never summed up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import IntEnum, IntFlag
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Integer,
    Label,
    LargeBinary,
    SmallInteger,
    case,
    false,
    func,
    literal_column,
)
from sqlmodel import Field, SQLModel

from outlay_collector.store.grains import HOURS, MINUTES, QUARTERS, Grain
from outlay_collector.store.schema import CALLS, BigId

DIMENSIONS: Final = ("service", "environment", "provider", "model", "operation", "feature", "tenant", "status")
USER: Final = "user"
GROUPINGS: Final[tuple[tuple[str, ...], ...]] = ((), *((name,) for name in DIMENSIONS), DIMENSIONS, (USER,))
"""What is summed up by; a rollup names the place of its grouping here."""
_CUT: Final = (("tenant",), (USER,))
"""Groupings of dimensions that may have any number of values."""
_FIRST_PARTS: Final = np.array([128, 1_024, 2_048])
_PART_IDS: Final = 8_192
FOREMOST: Final = frozenset(range(len(_FIRST_PARTS) + 1))
"""The parts of the lowest ids, below `_PART_IDS`: who asks for the first of many reads them in any case."""
SERIES_PARTS: Final = 2
"""Of a day's hours and quarters only those are there which call most: of a grouping that is cut, so many parts."""


class Kept(IntFlag):
    """Which groupings a period has been summed up by."""

    ONE = 1
    """None, and each dimension alone."""
    ALL = 2
    """All dimensions together; the user is none of them."""
    USERS = 4
    MINUTES = 8
    """A quarter's minutes, by no dimension."""
    MINUTES_ONE = 16
    """And by each alone."""
    FINAL = 32
    """Everything that can be kept, so that the calls may go."""
    HOURS = 64
    """A day's hours, by no dimension and by each alone; by user, if the day itself has been."""
    QUARTERS = 128
    """And its quarters."""


class Section(IntEnum):
    """Of a block. Each is a row: who ranks sixty thousand users reads no histogram, and all sums of no more than are
    shown."""

    RANKED = 0
    """The ids, and the measures that groups are looked for, ranked and budgeted by: the first `RANKED`."""
    REST = 1
    """The other measures."""
    DURATIONS = 2
    MOST = 3
    """Of all parts of a block that is cut, in one row: how much any one group has at most of each measure of
    `RANKED`."""


OF_A_DAY: Final = {HOURS: Kept.HOURS, QUARTERS: Kept.QUARTERS}
"""The series of a day, each with what says that it is kept."""
_KIND_OF_SIZE: Final = {0: Kept.ONE, 1: Kept.ONE, len(DIMENSIONS): Kept.ALL}

_AUTH_FAILURES: Final = (401, 403)


class PeriodRow(SQLModel, table=True):
    """A period that has calls."""

    __tablename__ = "rollup_periods"
    __table_args__ = ({"sqlite_with_rowid": False},)

    length_ns: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    start_ns: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    stale: bool
    kept: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False, server_default="0"))
    """`Kept`; what a stale period has is not to be read."""
    claim: int | None = Field(default=None, sa_type=BigInteger)
    """Who sums it up from what was committed; taken away by whoever writes a call meanwhile or, where it is below
    zero, by whoever changes one: `store.claiming`."""
    closed: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    """Its calls may be gone, so it is never summed up again: `store.closing`."""
    held_id: int | None = Field(default=None, sa_type=BigInteger)
    """Of a quarter: what it has kept holds its calls up to this id, and goes on holding those while it is stale: new
    calls have higher ids. NULL: while it is stale nothing it has is to be read, because one of them was changed."""
    held_until_ns: int | None = Field(default=None, sa_type=BigInteger)
    """All calls it holds began before then."""
    edition: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    """Of what it has kept: another random number each time that is written anew."""


class RollupRow(SQLModel, table=True):
    """A section of a block: the groups of one period, or series, and grouping, as `store.packing` packs them. It is
    read whole or not at all, and tenants and users, of whom there may be more than anybody wants to read, are cut into
    parts by their ids.
    """

    __tablename__ = "rollups"

    grouping: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    section: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    """`Section`."""
    length_ns: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    of_ns: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    """With `length_ns` its `Grain`."""
    start_ns: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    part: int = Field(default=0, sa_column=Column(Integer, primary_key=True, autoincrement=False))
    """`parts_of` the id of a tenant or user; of all else there is one part, 0."""
    groups: int
    """How many there are."""
    packed: bytes = Field(sa_type=LargeBinary)


class NameRow(SQLModel, table=True):
    """What an id in a block stands for, whatever the dimension. Names are added and never changed."""

    __tablename__ = "rollup_names"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    name: str = Field(unique=True)


PERIODS: Final = SQLModel.metadata.tables["rollup_periods"]
ROLLUPS: Final = SQLModel.metadata.tables["rollups"]
NAMES: Final = SQLModel.metadata.tables["rollup_names"]

_SUMS: Final = (
    "rate_limited",
    "retries",
    "cost_nano_usd",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "avoided_nano_usd",
)
MEASURES: Final = ("calls", "errors", "auth_failures", "unpriced_calls", *_SUMS)
ALWAYS_KNOWN: Final = 6
"""So many of the measures, the first, are never NULL."""
RANKED: Final = 7
"""So many of them, the first, stand in the section of that name."""


def _flag(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)


def each_measure_of_calls() -> list[ColumnElement[Any]]:
    """What each row of `calls` adds to `MEASURES`, in their order and under their names."""
    counted: tuple[ColumnElement[Any], ...] = (
        literal_column("1"),
        _flag(CALLS.c.status == "error"),
        _flag(CALLS.c.http_status.in_(_AUTH_FAILURES)),
        _flag(CALLS.c.cost_nano_usd.is_(None)),
    )
    return [
        *(count.label(name) for count, name in zip(counted, MEASURES, strict=False)),
        *(CALLS.c[name] for name in _SUMS),
    ]


def measures_of_calls() -> list[ColumnElement[Any]]:
    """The sums over rows of `calls`."""
    return [func.sum(_bare(each)).label(name) for each, name in zip(each_measure_of_calls(), MEASURES, strict=True)]


def _bare(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return column.element if isinstance(column, Label) else column


def grouping_for(names: Collection[str]) -> int | None:
    """The place of the smallest grouping that has all of these; None where no rollup does."""
    wanted = set(names)
    places = [place for place, grouping in enumerate(GROUPINGS) if wanted <= set(grouping)]
    return min(places, key=lambda place: len(GROUPINGS[place])) if places else None


def is_of_many(place: int) -> bool:
    """Whether that grouping may have any number of groups."""
    return GROUPINGS[place] in _CUT


def is_cut(place: int, grain: Grain) -> bool:
    """Whether blocks of that grouping are cut into parts."""
    return is_of_many(place) and grain != MINUTES


def parts_with(place: int, wanted: Mapping[str, Collection[int]]) -> Collection[int] | None:
    """The parts of that grouping that have those ids of a dimension; None: any may."""
    if not is_of_many(place) or not wanted:
        return None
    (ids,) = wanted.values()
    return set(parts_of(np.array([*ids])).tolist())


def parts_of(ids: NDArray[Any]) -> NDArray[np.int64]:
    """In which part of a block each group is. Ids are given as names come, those of most calls first (`Names`): whoever
    asks for some of these reads a block of few."""
    return np.searchsorted(_FIRST_PARTS, ids, "right") + ids.astype(np.int64) // _PART_IDS


def kind_of(place: int) -> Kept:
    """What a period must have kept for this grouping to be there."""
    return Kept.USERS if GROUPINGS[place] == (USER,) else _KIND_OF_SIZE[len(GROUPINGS[place])]


def series_of(place: int) -> Mapping[Grain, Kept]:
    """The series that there may be of this grouping, each with all that its period must have kept for it."""
    kind = kind_of(place)
    if kind is Kept.ALL:
        return {}
    of_a_day = {grain: kind | kept for grain, kept in OF_A_DAY.items()}
    if kind is Kept.USERS:
        return of_a_day
    return {MINUTES: Kept.MINUTES_ONE if GROUPINGS[place] else Kept.MINUTES, **of_a_day}


def groupings_in(grain: Grain, kept: Kept) -> list[int]:
    """By which there is that series of a period that has kept that."""
    places = range(len(GROUPINGS))
    return [place for place in places if (needed := series_of(place).get(grain)) and kept & needed == needed]


def series_with(place: int, wanted: Mapping[str, Collection[int]]) -> Mapping[Grain, Kept]:
    """Those of them that have all calls with those ids."""
    parts, series = parts_with(place, wanted), series_of(place)
    if not is_of_many(place) or (parts is not None and max(parts) < SERIES_PARTS):
        return series
    return {grain: kept for grain, kept in series.items() if not is_cut(place, grain)}
