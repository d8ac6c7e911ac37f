"""Fetches blocks as they are packed: from memory where a question before has read them, else from the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import Connection, bindparam, text

from outlay_collector.store.blocks import Block, joined
from outlay_collector.store.engine import remembered_by
from outlay_collector.store.grains import Grain
from outlay_collector.store.packing import beginning, decode_durations, decode_figures
from outlay_collector.store.remembered import HalfBlock, Period
from outlay_collector.store.rollups import GROUPINGS, Half, is_cut
from outlay_collector.store.segments import Segment

_PAGE: Final = 100


class _Span(NamedTuple):
    """The blocks of one grain that begin then."""

    grain: Grain
    start_ns: int
    end_ns: int


def fetch(
    connection: Connection,
    grouping: int,
    segments: Sequence[Segment],
    parts: Collection[int] | None,
    what: Literal["figures", "counts", "durations"],
) -> Sequence[HalfBlock]:
    """That of the blocks of segments, which must be of rollups; of those parts, where some are named. Counts are the
    beginning of the figures."""
    spans = list(_spans(segments))
    if not spans or (parts is not None and not parts):
        return ()
    if parts is not None and any(not is_cut(grouping, span.grain) for span in spans):
        parts = {0, *parts}
    remembered = remembered_by(connection)
    if remembered is None:
        return _read(connection, grouping, spans, parts, what)
    listed = _listed(connection, spans)
    found, missing = remembered.find((grouping, what), [(each.period, each.edition) for each in listed], parts)
    if missing:
        read = _read(connection, grouping, _spans_of(listed, missing), parts, what)
        editions = [(each.period, each.edition) for each in listed if each.period in missing]
        remembered.keep((grouping, what), editions, parts, read)
        found += read
    return found


def by_grain(segments: Iterable[Segment]) -> Iterator[tuple[Grain, Sequence[Segment]]]:
    """Those of rollups, by their start."""
    of: defaultdict[Grain, list[Segment]] = defaultdict(list)
    for segment in segments:
        if segment.grain:
            of[segment.grain].append(segment)
    for grain in sorted(of):
        yield grain, sorted(of[grain], key=lambda segment: segment.start_ns)


def _spans(segments: Iterable[Segment]) -> Iterator[_Span]:
    """Each block once: of a series several segments may be."""
    for grain, some in by_grain(segments):
        spans: list[_Span] = []
        for segment in some:
            start_ns = segment.start_ns - segment.start_ns % grain.of_ns
            if spans and start_ns <= spans[-1].end_ns:
                spans[-1] = spans[-1]._replace(end_ns=max(spans[-1].end_ns, segment.end_ns))
            else:
                spans.append(_Span(grain, start_ns, segment.end_ns))
        yield from spans


class _Listed(NamedTuple):
    """A period of a span."""

    span: int
    period: Period
    edition: int


def _listed(connection: Connection, spans: Sequence[_Span]) -> Sequence[_Listed]:
    """All there are, by span and start."""
    ranges = ", ".join(
        f"({place}, {span.grain.of_ns}, {span.start_ns}, {span.end_ns})" for place, span in enumerate(spans)
    )
    rows = connection.exec_driver_sql(
        f"SELECT column1, start_ns, edition FROM (VALUES {ranges}) AS spans CROSS JOIN rollup_periods "
        "WHERE length_ns = column2 AND start_ns >= column3 AND start_ns < column4"
    )
    return sorted(_Listed(place, (*spans[place].grain, start), edition) for place, start, edition in rows)


def _spans_of(listed: Sequence[_Listed], missing: Collection[Period]) -> Sequence[_Span]:
    """As few as have the missing periods, and no other that is listed."""
    spans = []
    for (_, is_missing), some in groupby(listed, lambda each: (each.span, each.period in missing)):
        if is_missing:
            periods = [each.period for each in some]
            spans.append(_Span(Grain(*periods[0][:2]), periods[0][2], periods[-1][2] + 1))
    return spans


def _read(
    connection: Connection, grouping: int, spans: Sequence[_Span], parts: Collection[int] | None, what: str
) -> Sequence[HalfBlock]:
    ranges = ", ".join(str((*span.grain, span.start_ns, span.end_ns)) for span in spans)
    half = Half.DURATIONS if what == "durations" else Half.FIGURES
    some = "" if parts is None else f" AND part IN ({', '.join(map(str, parts))})"
    within = (
        f"grouping = {grouping} AND half = {half:d} AND length_ns = column1 AND of_ns = column2 "
        f"AND start_ns >= column3 AND start_ns < column4{some}"
    )
    size = "{} + {} * groups".format(*beginning(len(GROUPINGS[grouping])))
    blocks = "length_ns, of_ns, start_ns, part, groups,"
    if connection.dialect.name != "postgresql":
        said = f"{size} AS size, rollups.rowid" if what == "counts" else "packed"
        statement = f"SELECT {blocks} {said} FROM (VALUES {ranges}) AS ranges CROSS JOIN rollups WHERE {within}"
        rows = connection.exec_driver_sql(statement)
        return _beginnings(connection, rows.all()) if what == "counts" else [HalfBlock(*row) for row in rows]
    said = f"substr(packed, 1, {size}) AS said" if what == "counts" else "packed"
    # Range by range: it would rather read all blocks of the grouping and have each range look for its own among them
    found = f"(SELECT {blocks} {said} FROM rollups WHERE {within} OFFSET 0) AS found"
    return _all(connection, f"SELECT found.* FROM (VALUES {ranges}) AS ranges CROSS JOIN LATERAL {found}")


def _beginnings(connection: Connection, rows: Iterable[Any]) -> Sequence[HalfBlock]:
    """The blocks of rows that end with how much of them is wanted and where they are. SQLite's `substr` reads them to
    their end, page by page, three times as much as is wanted."""
    driver: Any = connection.connection.driver_connection
    found = []
    for *block, size, row in rows:
        with driver.blobopen("rollups", "packed", row, readonly=True) as packed:
            found.append(HalfBlock(*(*block, packed.read(size))))
    return found


def _all(connection: Connection, statement: str) -> Sequence[HalfBlock]:
    """Straight to the driver, for Postgres to answer in its own form, as text bytes are twice as long, and row by row:
    tens of megabytes are not held twice."""
    driver: Any = connection.connection.driver_connection
    with driver.cursor(binary=True) as cursor:
        return [HalfBlock(*row) for row in cursor.stream(statement)]


Packed = tuple[int, bytes, bytes]
"""How many groups, their figures and their histograms."""


_PACKED: Final = text(
    "SELECT f.grouping, f.start_ns, f.part, f.groups, f.packed, d.packed FROM rollups AS f "
    "JOIN rollups AS d ON d.grouping = f.grouping AND d.half = 1 AND d.length_ns = f.length_ns AND d.of_ns = f.of_ns "
    "AND d.start_ns = f.start_ns AND d.part = f.part "
    "WHERE f.grouping IN :groupings AND f.half = 0 AND f.length_ns = :length AND f.of_ns = :of "
    "AND f.start_ns >= :start AND f.start_ns < :end AND f.part < :parts ORDER BY f.grouping, f.start_ns, f.part"
).bindparams(bindparam("groupings", expanding=True))
ALL_PARTS: Final = 2**31 - 1


def read_packed(
    connection: Connection,
    groupings: Collection[int],
    grain: Grain,
    from_ns: int,
    to_ns: int,
    parts: int = ALL_PARTS,
) -> Iterator[tuple[int, int, int, Packed]]:
    """The blocks of one grain that begin then, each with its grouping, start and part, in the order of these; of the
    first so many parts."""
    here = {"groupings": list(groupings), "length": grain.length_ns, "of": grain.of_ns, "start": from_ns, "end": to_ns}
    rows = connection.execute(_PACKED, here | {"parts": parts}, execution_options={"yield_per": _PAGE})
    for grouping, start_ns, part, groups, figures, durations in rows:
        yield grouping, start_ns, part, (groups, figures, durations)


def read_blocks(
    connection: Connection, grouping: int, grain: Grain, from_ns: int, to_ns: int, parts: int = ALL_PARTS
) -> Iterator[tuple[int, Block]]:
    """The same, all parts together, each with its start."""
    blocks = read_packed(connection, [grouping], grain, from_ns, to_ns, parts)
    for start_ns, some in groupby(blocks, lambda block: block[1]):
        yield start_ns, joined([unpacked(grouping, grain, packed) for *_, packed in some])


def unpacked(grouping: int, grain: Grain, packed: Packed) -> Block:
    groups, figures, durations = packed
    dimensions = len(GROUPINGS[grouping]) + grain.is_series
    return Block(decode_figures(figures, dimensions, groups), *decode_durations(durations, groups))
