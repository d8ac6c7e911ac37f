"""Who may be among the first: a question for the two hundred users that spend most does not read sixty thousand.

Names have their ids by the number of their calls, so nearly all of the first are found where ids are low (`FOREMOST`).
Of each other part of a block is kept how much any one of its groups has at most (`Section.MOST`). Where all that, over
the window, is less than the last of the first has, nobody of that part is one of them, and it is not read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, text

from outlay_collector.store.blocks import Figures, Numbers, summed
from outlay_collector.store.fetching import Blocks
from outlay_collector.store.grains import QUARTER_NS, WEEK_NS, Grain
from outlay_collector.store.packing import decode_ranked, encode_figures
from outlay_collector.store.planning import planned
from outlay_collector.store.rolled import Rolled, read_ranked
from outlay_collector.store.rollups import FOREMOST, RANKED, Section
from outlay_collector.store.segments import Segment

_NO_LIMIT: Final = 2**62
_BOTH: Final = text(
    f"SELECT start_ns, section, part, groups, packed FROM rollups WHERE grouping = :grouping "
    f"AND section IN ({Section.RANKED:d}, {Section.MOST:d}) AND length_ns = :length AND of_ns = :of "
    "ORDER BY start_ns, section, part"
)


class First(NamedTuple):
    """So many are wanted, who have most of the measure at that place. `beside`: how much one of them may have besides,
    in calls that are not summed up."""

    place: int
    number: int
    beside: int


class Foremost(NamedTuple):
    """The rows of all who may be among the first, and of others, and which these are. None: nobody knows."""

    rolled: Rolled | None
    ids: Sequence[int] | None = None


def read_foremost(
    connection: Connection, grouping: int, segments: Sequence[Segment], window: tuple[int, int], first: First
) -> Foremost:
    """Of a grouping that is cut. `segments` must be of rollups; `window`: all that they are within."""
    found = read_ranked(connection, grouping, segments, {}, FOREMOST)
    least = None if found is None else _last_of(_totals(found, first), first.number)
    most = None if least is None else _most(connection, grouping, window, first.place)
    if found is None or least is None or most is None:
        return Foremost(read_ranked(connection, grouping, segments, {}))
    enough = least - first.beside
    if others := {part for part, its in most.items() if part not in FOREMOST and its >= enough}:
        found = read_ranked(connection, grouping, segments, {}, FOREMOST | others) or found
    return Foremost(found, np.flatnonzero(_totals(found, first) >= enough).tolist() if enough > 0 else None)


def _totals(found: Rolled, first: First) -> Numbers:
    """By id."""
    ids = found.ids(0)
    return summed(ids, found.measure(first.place), int(ids.max()) + 1)


def _last_of(totals: Numbers, number: int) -> int | None:
    """What the last of the first has at least; None where they are not so many."""
    last = int(np.partition(totals, len(totals) - number)[len(totals) - number]) if len(totals) >= number else 0
    return last if last > 0 else None


def _most(connection: Connection, grouping: int, window: tuple[int, int], place: int) -> Mapping[int, int] | None:
    """By part, how much of a measure one group has in that window at most: in the longest periods that have all of it,
    for the fewer they are the less is added up that nobody has. None where some of it is in no whole period, or one
    does not say."""
    start, end = window
    around = (0, start - start % WEEK_NS, -(-end // QUARTER_NS) * QUARTER_NS)
    segments = [segment for segment in planned(connection, [around], grouping, {}) if segment.grain]
    if any(segment.grain.is_series for segment in segments if segment.grain):
        return None
    blocks = Blocks(connection, grouping, segments)
    said = list(blocks.fetch(Section.MOST, None))
    if len(said) < blocks.periods:
        return None
    found: defaultdict[int, int] = defaultdict(int)
    for block in said:
        figures = decode_ranked(block.packed, 1, block.groups)
        for part, most in zip(figures.ids[0].tolist(), figures.measures[place].tolist(), strict=True):
            found[part] += most
    return found


def most_of(blocks: Iterable[tuple[int, int, bytes]]) -> tuple[int, bytes]:
    """The section of that name: how many parts there are, and what of each is packed as if it were a group. `blocks`:
    the part, the number of groups and the first section of each."""
    parts, most = [], []
    for part, groups, ranked in blocks:
        parts.append(part)
        most.append([_most_in(column) for column in decode_ranked(ranked, 1, groups).measures])
    columns = list(np.array(most, np.int64).reshape(-1, RANKED).T)
    packed, _ = encode_figures(Figures([np.array(parts, np.int64)], columns, [np.ones(len(parts), np.bool_)]))
    return len(parts), packed


def _most_in(column: Numbers) -> int:
    """Where one has less than nothing, a longer period may have less of somebody than a part of it."""
    return int(column.max()) if column.min() >= 0 else _NO_LIMIT


def wrong_most(connection: Connection, grouping: int, grain: Grain) -> Iterator[int]:
    """When the periods begin whose blocks do not have what that section says."""
    rows = connection.execute(_BOTH, {"grouping": grouping, "length": grain.length_ns, "of": grain.of_ns})
    for start_ns, some in groupby(rows, key=lambda row: int(row.start_ns)):
        sections = list(some)
        blocks = [(row.part, row.groups, row.packed) for row in sections if row.section == Section.RANKED]
        said = [(row.groups, bytes(row.packed)) for row in sections if row.section == Section.MOST]
        if said != [most_of(blocks)]:
            yield start_ns
