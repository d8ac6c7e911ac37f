"""Where in time calls are that a list asks for: rollups tell it, so that a page of seldom calls is not looked for among
all of a month.

A list takes the newest calls first. The newest days that have enough of them are narrowed down to their hours, and
these to quarters, as far as rollups know; what they do not know is looked through, in an index that has the user, the
tenant and the status. Failed calls have an index of their own, of so few entries that all of them are looked through.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Final

from sqlalchemy import Connection

from outlay_collector.store.blocks import summed
from outlay_collector.store.grains import DAY_NS, HOUR_NS, QUARTER_NS, SIX_HOURS_NS
from outlay_collector.store.planning import planned
from outlay_collector.store.query import CallsQuery, Filters
from outlay_collector.store.reading import seek_by_key, wanted_ids
from outlay_collector.store.rolled import read_ranked
from outlay_collector.store.rollups import DIMENSIONS, MEASURES, USER, grouping_for
from outlay_collector.store.segments import Range

_UNPRICED: Final = "unpriced"
_FAILED: Final = "error"
_LENGTHS_NS: Final = (DAY_NS, SIX_HOURS_NS, HOUR_NS, QUARTER_NS)
_MOST_RANGES: Final = 64
_INDEXED: Final = frozenset({USER, "tenant", "status"})
"""What the index of calls by time has: few hours of it are looked through sooner than their quarters are looked up."""
_FEW_HOURS: Final = 3
_INDEXED_FAILED: Final = frozenset({"tenant", "feature", "model"})
"""What the index of failed calls has besides the user. All of it is looked through sooner than where several of these
meet is looked up."""
Counted = tuple[int, int, int | None]
"""Start and end of a part, and how many wanted calls it has at most; None where that is unknown."""


def newest_ranges(connection: Connection, query: CallsQuery, from_ns: int, to_ns: int) -> Iterator[Sequence[Counted]]:
    """Parts of `[from_ns, to_ns)`, the latest first, that have all calls of the query between them. As few as may have
    enough of them, then the next.
    """
    search = _Search(connection, query)
    if not search.helps or _is_failed_of_several(query.filters):
        yield [(from_ns, to_ns, None)]
        return
    for some in search.narrowed([(from_ns, to_ns, None)], _LENGTHS_NS):
        for place in range(0, len(some), _MOST_RANGES):
            yield some[place : place + _MOST_RANGES]


def is_of_failed(filters: Filters) -> bool:
    """Whether only failed calls are wanted."""
    return list(filters.get("status", ())) == [_FAILED]


def _is_failed_of_several(filters: Filters) -> bool:
    others = filters.keys() - {"status"}
    return is_of_failed(filters) and len(others) > 1 and others <= _INDEXED_FAILED


def _best_known(filters: Filters) -> Filters:
    """Those that one grouping knows together. The user alone, of whom there are more than of all else."""
    for names in ({USER}, set(DIMENSIONS)):
        if known := {name: values for name, values in filters.items() if name in names}:
            return known
    return {}


class _Search:
    """How many of the wanted calls there are at most, by what rollups tell."""

    def __init__(self, connection: Connection, query: CallsQuery) -> None:
        failed, unpriced = is_of_failed(query.filters), list(query.filters.get("cost_status", ())) == [_UNPRICED]
        filters = _best_known({name: some for name, some in query.filters.items() if not failed or name != "status"})
        self._connection, self._limit = connection, query.limit
        self._is_indexed = query.filters.keys() <= _INDEXED
        self._grouping = grouping_for(filters)
        self._measure = MEASURES.index("errors" if failed else "unpriced_calls" if unpriced else "calls")
        self.helps = bool(filters or unpriced)
        if self.helps:
            seek_by_key(connection)
            self._wanted = wanted_ids(connection, filters)

    def narrowed(self, parts: Sequence[Counted], lengths_ns: Sequence[int]) -> Iterator[Sequence[Counted]]:
        """The parts cut to the last of those lengths: as few as may have enough calls, then the next."""
        length_ns, *shorter = lengths_ns
        pieces = self.counted([piece for start, end, _ in parts for piece in _cut(start, end, length_ns)])
        rest: Sequence[Counted] = list(_better_known(parts, pieces))
        while rest:
            some, rest = _enough(rest, self._limit)
            if shorter and not (self._is_indexed and shorter == [QUARTER_NS] and len(some) <= _FEW_HOURS):
                yield from self.narrowed(some, shorter)
            else:
                yield some

    def counted(self, ranges: Sequence[Range]) -> list[Counted]:
        """Those that have calls and how many wanted ones, None where that is unknown; the latest first."""
        assert self._grouping is not None
        ordered = sorted(ranges)
        buckets = [(place, start, end) for place, (start, end) in enumerate(ordered)]
        segments = planned(self._connection, buckets, self._grouping, self._wanted)
        unknown = {segment.bucket for segment in segments if segment.grain is None}
        rolled = [segment for segment in segments if segment.grain and segment.bucket not in unknown]
        known = [0] * len(ordered)
        if rolled and self._wanted is not None:
            found = read_ranked(self._connection, self._grouping, rolled, self._wanted)
            if found is not None:
                known = summed(found.buckets, found.measure(self._measure), len(ordered)).tolist()
        there = {segment.bucket for segment in segments}
        return [(*ordered[n], None if n in unknown else known[n]) for n in sorted(there, reverse=True)]


def _cut(start: int, end: int, length_ns: int) -> list[Range]:
    """By the edges of that length."""
    edges = [start, *range(start - start % length_ns + length_ns, end, length_ns), end]
    return [(one, other) for one, other in pairwise(edges) if one < other]


def _better_known(parts: Sequence[Counted], pieces: Sequence[Counted]) -> Iterator[Counted]:
    """The pieces of each part that may have wanted calls; the part itself where nothing is known of any: one range is
    looked through sooner than many short ones."""
    place = 0
    for part in parts:
        first = place
        while place < len(pieces) and pieces[place][0] >= part[0]:
            place += 1
        mine = pieces[first:place]
        if mine and all(calls is None for _, _, calls in mine):
            yield part
        else:
            yield from _unknown_joined(mine)


def _unknown_joined(pieces: Sequence[Counted]) -> Iterator[Counted]:
    """Those of which nothing is known made one, where nothing that is known is between them."""
    for is_unknown, some in groupby(pieces, lambda piece: piece[2] is None):
        if is_unknown:
            run = list(some)
            yield run[-1][0], run[0][1], None
        else:
            yield from (piece for piece in some if piece[2])


def _enough(parts: Sequence[Counted], limit: int) -> tuple[list[Counted], Sequence[Counted]]:
    """The first that may have so many calls, and the others."""
    known = 0
    for place, (_, _, calls) in enumerate(parts, start=1):
        known += calls or 0
        if known >= limit:
            return list(parts[:place]), parts[place:]
    return list(parts), []
