"""Fetches blocks as they are packed: from memory where a question before has read them, else from the database."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import Connection, bindparam, text

from outlay_collector.store.blocks import Block, joined
from outlay_collector.store.engine import remembered_by
from outlay_collector.store.packing import beginning, decode_durations, decode_figures
from outlay_collector.store.remembered import PackedColumn, Period
from outlay_collector.store.rollups import GROUPINGS, MINUTE_NS, QUARTER_NS
from outlay_collector.store.segments import Segment

_PAGE: Final = 100
_Spans = Sequence[tuple[int, int, int]]
"""Length, start and end of what is to be read."""


def fetch(
    connection: Connection,
    grouping: int,
    segments: Sequence[Segment],
    parts: Collection[int] | None,
    column: Literal["figures", "counts", "durations"],
) -> Sequence[PackedColumn]:
    """That column of the blocks of segments, which must be of rollups; of those parts, where some are named. Counts are
    the beginning of the figures."""
    spans = list(_spans(segments))
    if not spans or (parts is not None and not parts):
        return ()
    remembered = remembered_by(connection)
    if remembered is None:
        return _read(connection, grouping, spans, parts, column)
    listed = _listed(connection, spans)
    found, missing = remembered.find((grouping, column), [(each.period, each.edition) for each in listed], parts)
    if missing:
        read = _read(connection, grouping, _spans_of(listed, missing), parts, column)
        editions = [(each.period, each.edition) for each in listed if each.period in missing]
        remembered.keep((grouping, column), editions, parts, read)
        found += read
    return found


def by_start(segments: Sequence[Segment]) -> list[Segment]:
    """Those of one length together."""
    return sorted(segments, key=lambda segment: (segment.length_ns or 0, segment.start_ns))


def _spans(segments: Sequence[Segment]) -> Iterator[tuple[int, int, int]]:
    """Each block once: minutes stand in the block of their quarter."""
    last = (0, 0, 0)
    for segment in by_start(segments):
        length, start, end = segment.length_ns or 0, segment.start_ns, segment.end_ns
        if length == MINUTE_NS:
            start -= start % QUARTER_NS
        if length == last[0] and start <= last[2]:
            last = (length, last[1], max(end, last[2]))
            continue
        if last[0]:
            yield last
        last = (length, start, end)
    if last[0]:
        yield last


class _Listed(NamedTuple):
    """A period of a span."""

    span: int
    period: Period
    edition: int


def _listed(connection: Connection, spans: _Spans) -> Sequence[_Listed]:
    """All there are, by span and start."""
    ranges = ", ".join(
        f"({place}, {QUARTER_NS if length == MINUTE_NS else length}, {start}, {end})"
        for place, (length, start, end) in enumerate(spans)
    )
    rows = connection.exec_driver_sql(
        f"SELECT column1, start_ns, edition FROM (VALUES {ranges}) AS spans CROSS JOIN rollup_periods "
        "WHERE length_ns = column2 AND start_ns >= column3 AND start_ns < column4"
    )
    return sorted(_Listed(place, (spans[place][0], start), edition) for place, start, edition in rows)


def _spans_of(listed: Sequence[_Listed], missing: Collection[Period]) -> _Spans:
    """As few as have the missing periods, and no other that is listed."""
    spans = []
    for (_, is_missing), some in groupby(listed, lambda each: (each.span, each.period in missing)):
        if is_missing:
            periods = [each.period for each in some]
            spans.append((*periods[0], periods[-1][1] + 1))
    return spans


def _read(
    connection: Connection, grouping: int, spans: _Spans, parts: Collection[int] | None, column: str
) -> Sequence[PackedColumn]:
    ranges = ", ".join(map(str, spans))
    some = "" if parts is None else f" AND part IN ({', '.join(map(str, parts))})"
    within = f"grouping = {grouping} AND length_ns = column1 AND start_ns >= column2 AND start_ns < column3{some}"
    size = "{} + {} * groups".format(*beginning(len(GROUPINGS[grouping])))
    blocks = "length_ns, start_ns, part, groups,"
    if connection.dialect.name != "postgresql":
        said = f"{size} AS size, rollups.rowid" if column == "counts" else column
        statement = f"SELECT {blocks} {said} FROM (VALUES {ranges}) AS ranges CROSS JOIN rollups WHERE {within}"
        rows = [tuple(row) for row in connection.exec_driver_sql(statement)]
        return _beginnings(connection, rows) if column == "counts" else rows
    said = f"substr(figures, 1, {size}) AS said" if column == "counts" else column
    # Range by range: it would rather read all blocks of the grouping and have each range look for its own among them
    found = f"(SELECT {blocks} {said} FROM rollups WHERE {within} OFFSET 0) AS found"
    return _all(connection, f"SELECT found.* FROM (VALUES {ranges}) AS ranges CROSS JOIN LATERAL {found}")


def _beginnings(connection: Connection, rows: Sequence[tuple[int, ...]]) -> Sequence[PackedColumn]:
    """The blocks of rows that end with how much of their figures is wanted and where these are. SQLite's `substr` reads
    them to their end, page by page, three times as much as is wanted."""
    driver: Any = connection.connection.driver_connection
    found = []
    for length_ns, start_ns, part, groups, size, row in rows:
        with driver.blobopen("rollups", "figures", row, readonly=True) as figures:
            found.append((length_ns, start_ns, part, groups, figures.read(size)))
    return found


def _all(connection: Connection, statement: str) -> Sequence[PackedColumn]:
    """Straight to the driver, for Postgres to answer in its own form, as text bytes are twice as long, and row by row:
    tens of megabytes are not held twice."""
    driver: Any = connection.connection.driver_connection
    with driver.cursor(binary=True) as cursor:
        return list(cursor.stream(statement))


Packed = tuple[int, bytes, bytes]
"""How many groups, their figures and their histograms."""


_PACKED: Final = text(
    "SELECT grouping, start_ns, part, groups, figures, durations FROM rollups WHERE grouping IN :groupings "
    "AND length_ns = :length AND start_ns >= :start AND start_ns < :end ORDER BY grouping, start_ns, part"
).bindparams(bindparam("groupings", expanding=True))


def read_packed(
    connection: Connection, groupings: Collection[int], length_ns: int, from_ns: int, to_ns: int
) -> Iterator[tuple[int, int, int, Packed]]:
    """The blocks of one length that begin then, each with its grouping, start and part, in the order of these."""
    here = {"groupings": list(groupings), "length": length_ns, "start": from_ns, "end": to_ns}
    rows = connection.execute(_PACKED, here, execution_options={"yield_per": _PAGE})
    for grouping, start_ns, part, groups, figures, durations in rows:
        yield grouping, start_ns, part, (groups, figures, durations)


def read_blocks(
    connection: Connection, grouping: int, length_ns: int, from_ns: int, to_ns: int
) -> Iterator[tuple[int, Block]]:
    """The same, all parts together, each with its start."""
    blocks = read_packed(connection, [grouping], length_ns, from_ns, to_ns)
    for start_ns, parts in groupby(blocks, lambda block: block[1]):
        yield start_ns, joined([unpacked(grouping, length_ns, packed) for *_, packed in parts])


def unpacked(grouping: int, length_ns: int, packed: Packed) -> Block:
    groups, figures, durations = packed
    dimensions = len(GROUPINGS[grouping]) + (length_ns == MINUTE_NS)
    return Block(decode_figures(figures, dimensions, groups), *decode_durations(durations, groups))
