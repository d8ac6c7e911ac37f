"""Sums over calls, from their rollups and, where there are none, as SQL over their rows.

Both come to rows of figures by bucket and group, which are then added up together. Buckets are given by their edges,
which the caller works out in the time zone asked for: a day that has 23 hours, or a zone half an hour off, is only
another number here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection

from outlay_collector.store.bins import percentiles_of_groups
from outlay_collector.store.blocks import Durations, Figures, Numbers, added_up, grouped, joined_figures, summed
from outlay_collector.store.foremost import First, Foremost, read_foremost
from outlay_collector.store.names import NOBODY, ids_of, names_of
from outlay_collector.store.planning import planned
from outlay_collector.store.query import PERCENTILES, Filters, Percentiles, UsageQuery, UsageRow
from outlay_collector.store.rolled import Shown, Wanted, read_durations, read_ranked, read_rest
from outlay_collector.store.rollups import ALWAYS_KNOWN, GROUPINGS, MEASURES, RANKED, grouping_for, is_of_many
from outlay_collector.store.segments import Segment, of_calls
from outlay_collector.store.unrolled import Unrolled

_NEVER_UNKNOWN: Final = frozenset({*MEASURES[:ALWAYS_KNOWN], "avoided_nano_usd"})
_MOST_NAMED: Final = 500
_SEEKS: Final = "outlay_seeks"


def read_usage(connection: Connection, query: UsageQuery) -> list[UsageRow]:
    """Rows by bucket, then by group, in rising order; groups without calls have none.

    Where the query has a limit, only its first groups: the greatest by the sum over all buckets.
    """
    grouping = grouping_of(query)
    wanted = wanted_ids(connection, query.filters) if grouping is not None else None
    return _Answer(connection, query, _segments(connection, query, wanted), wanted).rows()


def wanted_ids(connection: Connection, filters: Filters) -> Wanted | None:
    """The ids the filters ask for, the empty text being nobody's; None where no rollup can have them all."""
    known = ids_of(connection, {value for values in filters.values() for value in values if value})
    wanted: dict[str, list[int]] = {}
    for name, values in filters.items():
        ids = {known[value] if value else NOBODY for value in values if not value or value in known}
        if not ids:
            return None
        wanted[name] = sorted(ids)
    return wanted


class _Answer:
    """Groups of rolled rows and of calls. Both are added up by id: a name no rollup has gets one for the occasion."""

    def __init__(
        self, connection: Connection, query: UsageQuery, segments: Sequence[Segment], wanted: Wanted | None
    ) -> None:
        self._connection, self._query = connection, query
        seek_by_key(connection)
        self._calls = Unrolled(connection, query, [segment for segment in segments if not segment.grain])
        self._rolled, self._may_be_first = self._read_rolled([segment for segment in segments if segment.grain], wanted)
        self._names: dict[int, str | None] = {NOBODY: None}
        self._group()

    def rows(self) -> list[UsageRow]:
        shown, rank = self._shown()
        if not len(shown):
            return []
        place = np.full(len(self._buckets), -1)
        place[shown] = np.arange(len(shown))
        groups = place[self._groups]
        buckets, ids = self._buckets[shown], [column[shown] for column in self._ids]
        named = [[self._names[id_] for id_ in column.tolist()] for column in ids]
        named_groups = list(zip(*named, strict=True)) if named else [()] * len(shown)
        in_blocks = {} if self._rolled is None else self._rolled.shown(groups[: len(groups) - len(self._calls)])
        figures = self._figures(groups, in_blocks, ids, len(shown))
        measures = _columns(figures) | self._percentiles(groups, in_blocks, shown)
        bucketed = self._query.edges is not None
        return [
            UsageRow(
                bucket=int(buckets[n]) if bucketed else None,
                group=named_groups[n],
                **{name: values[n] for name, values in measures.items()},
            )
            for n in _order(buckets, named_groups, rank)
        ]

    def _read_rolled(self, segments: Sequence[Segment], wanted: Wanted | None) -> Foremost:
        query, grouping = self._query, grouping_of(self._query)
        if grouping is None or wanted is None or not segments:
            return Foremost(None)
        if (first := self._first(grouping)) is not None:
            return read_foremost(self._connection, grouping, segments, (query.from_ns, query.to_ns), first)
        return Foremost(read_ranked(self._connection, grouping, segments, wanted))

    def _first(self, grouping: int) -> First | None:
        """If no other groups are wanted of many."""
        query = self._query
        place = RANKED if query.order is None else MEASURES.index(query.order)
        if query.limit is None or query.filters or not is_of_many(grouping) or not query.group_by or place >= RANKED:
            return None
        beside = self._calls.most(place)
        return None if beside is None else First(place, query.limit, beside)

    def _group(self) -> None:
        """The groups there are, each with its bucket and ids, and of which group each row is."""
        self._unrolled = self._calls.figures(self._named_ids())
        rows = [[self._calls.buckets], *([column] for column in self._unrolled.ids)]
        if self._rolled is not None:
            places = [GROUPINGS[self._rolled.grouping].index(name) for name in self._query.group_by]
            rolled = [self._rolled.buckets, *map(self._rolled.ids, places)]
            rows = [[one, *other] for one, other in zip(rolled, rows, strict=True)]
        columns = [np.concatenate(each) for each in rows]
        self._groups, (self._buckets, *self._ids) = grouped(columns, len(columns[0]))

    def _figures(self, groups: Numbers, in_blocks: Shown, ids: list[Numbers], number: int) -> Figures:
        """The sums of the rows by those groups; -1: of no interest. Of all measures, or of the first where no other is
        wanted."""
        rolled, all_wanted = len(groups) - len(self._calls), self._query.wants(MEASURES[RANKED:])
        unrolled = _of_interest(self._unrolled, groups[rolled:])
        parts = [unrolled if all_wanted else _first(unrolled)]
        if self._rolled is not None and in_blocks:
            found = _of_interest(joined_figures(self._rolled.parts), groups[:rolled])
            if all_wanted:
                rest = read_rest(self._rolled, in_blocks)
                found = Figures([], [*found.measures, *rest.measures], [*found.known, *rest.known])
            parts.insert(0, found)
        return added_up(joined_figures(parts), groups[groups >= 0], ids, number)

    def _named_ids(self) -> dict[str, int]:
        """Of the names that calls have. One that no rollup has, or that cannot be among the first, gets another."""
        names = self._calls.names()
        if not names:
            return {}
        known: dict[str, int] = {}
        taken = [NOBODY]
        if self._rolled is not None:
            known = self._known_ids(names)
            taken += [*known.values(), *(int(ids.max(initial=0)) for part in self._rolled.parts for ids in part.ids)]
        known |= {name: id_ for id_, name in enumerate(sorted(names - known.keys()), max(taken) + 1)}
        self._names |= {id_: name for name, id_ in known.items()}
        return known

    def _known_ids(self, names: Collection[str]) -> dict[str, int]:
        """Looked up by name, each is on a page of its own, and by id they are not."""
        if self._may_be_first is None or len(self._may_be_first) > _MOST_NAMED:
            return ids_of(self._connection, names)
        named = names_of(self._connection, self._may_be_first)
        return {name: id_ for id_, name in named.items() if name is not None}

    def _shown(self) -> tuple[Numbers, Numbers]:
        """Which groups the answer has, and the rank of each: the greatest first, those without the figure last, equal
        ones by name. Their names are known from here on."""
        query, ids = self._query, self._ids
        everything = np.arange(len(self._buckets))
        if query.order is None:
            self._name(ids)
            return everything, np.zeros(len(everything), np.int64)
        group, values = grouped(ids, len(everything))
        number = len(values[0]) if values else min(1, len(everything))
        totals = summed(group[self._groups], self._measure(MEASURES.index(query.order)), number)
        candidates = np.arange(number)
        if query.limit is not None and query.limit < number:
            least = np.partition(totals, number - query.limit)[number - query.limit]
            candidates = np.flatnonzero(totals >= least)
        values = [column[candidates] for column in values]
        self._name(values)
        names = list(zip(*([self._names[id_] or "" for id_ in column.tolist()] for column in values), strict=True))
        first = sorted(range(len(candidates)), key=lambda n: (-int(totals[candidates[n]]), names[n] if names else ()))
        ranks = np.full(number, -1)
        ranks[candidates[first[: query.limit]]] = np.arange(len(first[: query.limit]))
        shown = np.flatnonzero(ranks[group] >= 0)
        return shown, ranks[group[shown]]

    def _measure(self, place: int) -> Numbers:
        """Of every row."""
        mine = self._unrolled.measures[place]
        if self._rolled is None:
            return mine
        if place < RANKED:
            return np.concatenate([self._rolled.measure(place), mine])
        all_rows = self._rolled.shown(np.zeros(len(self._rolled.buckets), np.int64))
        rest = read_rest(self._rolled, all_rows)
        return np.concatenate([rest.measures[place - RANKED], mine])

    def _name(self, columns: Sequence[Numbers]) -> None:
        ids = {id_ for column in columns for id_ in np.unique(column).tolist()} - self._names.keys()
        if ids:
            self._names |= names_of(self._connection, ids)

    def _percentiles(self, groups: Numbers, in_blocks: Shown, shown: Numbers) -> dict[str, list[Percentiles]]:
        """Of the groups of the answer, by the name of each, if any is wanted."""
        if not self._query.wants(PERCENTILES):
            return {}
        found = (percentiles_of_groups(each, len(shown)) for each in self._durations(groups, in_blocks, shown))
        return {
            name: [Percentiles(p50=p50, p95=p95, p99=p99) for p50, p95, p99 in each]
            for name, each in zip(PERCENTILES, found, strict=True)
        }

    def _durations(
        self, groups: Numbers, in_blocks: Shown, shown: Numbers
    ) -> tuple[Sequence[Durations], Sequence[Durations]]:
        """Of latency and of time to first token, by the place of each row's group in the answer, -1 where it has
        none."""
        found = [self._calls.durations(groups[len(groups) - len(self._calls) :], self._only(shown))]
        if self._rolled is not None:
            found.append(read_durations(self._rolled, in_blocks))
        latency, ttft = zip(*found, strict=True)
        return latency, ttft

    def _only(self, shown: Numbers) -> Filters:
        """What of the calls is shown, where one dimension tells: spares the database the others."""
        query = self._query
        if query.limit is None or len(query.group_by) != 1:
            return {}
        ids = np.unique(self._ids[0][shown]).tolist()
        return {query.group_by[0]: [self._names[id_] or "" for id_ in ids]} if len(ids) <= _MOST_NAMED else {}


def _of_interest(figures: Figures, groups: Numbers) -> Figures:
    """The measures of the rows to whom a group is given that is not below zero."""
    measures = Figures([], figures.measures, figures.known)
    return measures if (groups >= 0).all() else measures.only(np.flatnonzero(groups >= 0))


def _first(figures: Figures) -> Figures:
    """Those measures that `RANKED` rows have."""
    return Figures([], figures.measures[:RANKED], figures.known[: RANKED - ALWAYS_KNOWN])


def seek_by_key(connection: Connection) -> None:
    """For the rest of this transaction. Postgres cannot know how little of a table some ranges of time are: it takes a
    ninth of it for each, and reads it all."""
    begun = connection.get_transaction()
    if connection.dialect.name != "postgresql" or (begun is not None and connection.info.get(_SEEKS) is begun):
        return
    ways = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit")
    connection.exec_driver_sql("SELECT " + ", ".join(f"set_config('{way}', 'off', true)" for way in ways))
    connection.info[_SEEKS] = connection.get_transaction()


def grouping_of(query: UsageQuery) -> int | None:
    return grouping_for({*query.group_by, *query.filters})


def _segments(connection: Connection, query: UsageQuery, wanted: Wanted | None) -> list[Segment]:
    edges = (query.from_ns, query.to_ns) if query.edges is None else query.edges
    buckets = [
        (n, max(start, query.from_ns), min(end, query.to_ns))
        for n, (start, end) in enumerate(pairwise(edges))
        if start < query.to_ns and end > query.from_ns
    ]
    grouping = grouping_of(query)
    if grouping is None:
        return of_calls(buckets)
    return planned(connection, buckets, grouping, wanted)


def _order(buckets: Numbers, groups: Sequence[tuple[str | None, ...]], rank: Numbers) -> list[int]:
    """By bucket, then by rank, then by name."""
    places = buckets.tolist(), rank.tolist()
    names = [tuple(name or "" for name in group) for group in groups]
    return sorted(range(len(groups)), key=lambda n: (places[0][n], places[1][n], names[n]))


def _columns(figures: Figures) -> dict[str, list[Any]]:
    """By the names of the measures there are, which are all or the first."""
    columns: dict[str, list[Any]] = {
        name: values.tolist() for name, values in zip(MEASURES, figures.measures, strict=False)
    }
    for name, known in zip(MEASURES[ALWAYS_KNOWN:], figures.known, strict=False):
        if name not in _NEVER_UNKNOWN and not known.all():
            columns[name] = [value if is_known else None for value, is_known in zip(columns[name], known, strict=True)]
    return columns
