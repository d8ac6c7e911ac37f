"""Where the calls of a question are read from, by what the database says of its periods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection

from outlay_collector.store.rolled import Wanted
from outlay_collector.store.rollups import kind_of, series_with
from outlay_collector.store.segments import Listed, Listing, Range, Segment, plan


def planned(
    connection: Connection,
    buckets: Iterable[tuple[int, int, int]],
    grouping: int,
    wanted: Wanted | None,
    now_ns: int | None = None,
) -> list[Segment]:
    """Where the calls of those buckets, each its place, start and end, are read from. `wanted`: the ids that are asked
    for; `now_ns`: as `plan` has it."""
    return plan(buckets, kind_of(grouping), series_with(grouping, wanted or {}), _listing_of(connection), now_ns)


def _listing_of(connection: Connection) -> Listing:
    """Which periods there are, and what of them may be read."""

    def listing(wanted: Mapping[int, Sequence[Range]]) -> Mapping[int, Mapping[int, Listed]]:
        found: dict[int, dict[int, Listed]] = {}
        ranges = [(length, start - length + 1, end - 1) for length, some in wanted.items() for start, end in some]
        if ranges:
            within = ", ".join(map(str, ranges))
            rows = connection.exec_driver_sql(
                "SELECT length_ns, start_ns, edition, stale, kept, held_id, held_until_ns FROM (VALUES "
                f"{within}) AS ranges CROSS JOIN rollup_periods "
                "WHERE length_ns = column1 AND start_ns BETWEEN column2 AND column3"
            )
            for length, start, *said in rows:
                found.setdefault(length, {})[start] = _listed(*said)
        return found

    return listing


def _listed(edition: int, stale: bool, kept: int, held_id: int | None, held_until_ns: int | None) -> Listed:
    if not stale:
        return Listed(kept, edition=edition)
    if held_id and held_until_ns is not None:
        return Listed(0, kept, held_id, held_until_ns, edition)
    return Listed(0)
