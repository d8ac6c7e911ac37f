"""Fetches blocks as they are packed: from memory where a question before has read them, else from the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, text

from outlay_collector.store.blocks import Block, Figures, joined
from outlay_collector.store.engine import remembered_by
from outlay_collector.store.grains import Grain
from outlay_collector.store.packing import decode_durations, decode_ranked, decode_rest
from outlay_collector.store.remembered import Packed, Period
from outlay_collector.store.rollups import GROUPINGS, Section, is_cut
from outlay_collector.store.segments import Segment

_PAGE: Final = 100


class _Span(NamedTuple):
    """The blocks of one grain that begin then."""

    grain: Grain
    start_ns: int
    end_ns: int


class Blocks:
    """Those of a grouping and some segments, which must be of rollups."""

    def __init__(self, connection: Connection, grouping: int, segments: Sequence[Segment]) -> None:
        self._connection, self._grouping = connection, grouping
        self._spans, self._listed = _spans(segments)
        self._remembered = remembered_by(connection)

    @property
    def periods(self) -> int:
        """How many there are blocks of."""
        return len(self._listed)

    def fetch(self, section: Section, parts: Collection[int] | None) -> Iterator[Packed]:
        """That of each, of those parts, where some are named. What a block says can be worked out while the database
        looks for the next, so nothing else may be asked of it before the last."""
        if not self._spans or (parts is not None and not parts):
            return
        if parts is not None and any(not is_cut(self._grouping, span.grain) for span in self._spans):
            parts = {0, *parts}
        if self._remembered is None:
            yield from _read(self._connection, self._grouping, self._spans, parts, section)
            return
        kind, editions = (self._grouping, section), [(each.period, each.edition) for each in self._listed]
        found, missing = self._remembered.find(kind, editions, parts)
        yield from found
        if missing:
            read = []
            for block in _read(self._connection, self._grouping, _spans_of(self._listed, missing), parts, section):
                read.append(block)
                yield block
            self._remembered.keep(kind, [each for each in editions if each[0] in missing], parts, read)


def by_grain(segments: Iterable[Segment]) -> Iterator[tuple[Grain, Sequence[Segment]]]:
    """Those of rollups, by their start."""
    of: defaultdict[Grain, list[Segment]] = defaultdict(list)
    for segment in segments:
        if segment.grain:
            of[segment.grain].append(segment)
    for grain in sorted(of):
        yield grain, sorted(of[grain], key=lambda segment: segment.start_ns)


class _Listed(NamedTuple):
    """A period of a span."""

    span: int
    period: Period
    edition: int


def _spans(segments: Iterable[Segment]) -> tuple[Sequence[_Span], Sequence[_Listed]]:
    """Each block once, as of a series several segments may be; and the periods they are of, by span and start."""
    spans: list[_Span] = []
    listed: set[_Listed] = set()
    for grain, some in by_grain(segments):
        known = len(spans)
        for segment in some:
            start_ns = segment.start_ns - segment.start_ns % grain.of_ns
            if len(spans) > known and start_ns <= spans[-1].end_ns:
                spans[-1] = spans[-1]._replace(end_ns=max(spans[-1].end_ns, segment.end_ns))
            else:
                spans.append(_Span(grain, start_ns, segment.end_ns))
            span = len(spans) - 1
            listed |= {_Listed(span, (*grain, start), edition) for start, edition in segment.editions.items()}
    return spans, sorted(listed)


def _spans_of(listed: Sequence[_Listed], missing: Collection[Period]) -> Sequence[_Span]:
    """As few as have the missing periods, and no other that is listed."""
    spans = []
    for (_, is_missing), some in groupby(listed, lambda each: (each.span, each.period in missing)):
        if is_missing:
            periods = [each.period for each in some]
            spans.append(_Span(Grain(*periods[0][:2]), periods[0][2], periods[-1][2] + 1))
    return spans


def _read(
    connection: Connection, grouping: int, spans: Sequence[_Span], parts: Collection[int] | None, section: Section
) -> Iterator[Packed]:
    ranges = ", ".join(str((*span.grain, span.start_ns, span.end_ns)) for span in spans)
    some = "" if parts is None else f" AND part IN ({', '.join(map(str, parts))})"
    within = (
        f"grouping = {grouping} AND section = {section:d} AND length_ns = column1 AND of_ns = column2 "
        f"AND start_ns >= column3 AND start_ns < column4{some}"
    )
    blocks = f"SELECT {', '.join(Packed._fields)} FROM"
    if connection.dialect.name != "postgresql":
        statement = f"{blocks} (VALUES {ranges}) AS ranges CROSS JOIN rollups WHERE {within}"
        return (Packed(*row) for row in connection.exec_driver_sql(statement))
    # Range by range: it would rather read all blocks of the grouping and have each range look for its own among them
    found = f"({blocks} rollups WHERE {within} OFFSET 0) AS found"
    return _one_by_one(connection, f"SELECT found.* FROM (VALUES {ranges}) AS ranges CROSS JOIN LATERAL {found}")


def _one_by_one(connection: Connection, statement: str) -> Iterator[Packed]:
    """Straight to the driver, for Postgres to answer in its own form, as text bytes are twice as long, and row by row:
    tens of megabytes are not held twice."""
    driver: Any = connection.connection.driver_connection
    with driver.cursor(binary=True) as cursor:
        yield from (Packed(*row) for row in cursor.stream(statement))


class PackedBlock(NamedTuple):
    """How many groups there are, and all sections."""

    groups: int
    ranked: bytes
    rest: bytes
    durations: bytes


_BLOCK: Final = ("grouping", "length_ns", "of_ns", "start_ns", "part")
_SAME: Final = " AND ".join(f"{{0}}.{name} = f.{name}" for name in _BLOCK)
_PACKED: Final = text(
    "SELECT f.grouping, f.start_ns, f.part, f.groups, f.packed, r.packed, d.packed FROM rollups AS f "
    f"JOIN rollups AS r ON r.section = {Section.REST:d} AND {_SAME.format('r')} "
    f"JOIN rollups AS d ON d.section = {Section.DURATIONS:d} AND {_SAME.format('d')} "
    f"WHERE f.grouping IN :groupings AND f.section = {Section.RANKED:d} AND f.length_ns = :length AND f.of_ns = :of "
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
) -> Iterator[tuple[int, int, int, PackedBlock]]:
    """The blocks of one grain that begin then, each with its grouping, start and part, in the order of these; of the
    first so many parts."""
    here = {"groupings": list(groupings), "length": grain.length_ns, "of": grain.of_ns, "start": from_ns, "end": to_ns}
    rows = connection.execute(_PACKED, here | {"parts": parts}, execution_options={"yield_per": _PAGE})
    for grouping, start_ns, part, *packed in rows:
        yield grouping, start_ns, part, PackedBlock(*packed)


def read_blocks(
    connection: Connection, grouping: int, grain: Grain, from_ns: int, to_ns: int, parts: int = ALL_PARTS
) -> Iterator[tuple[int, Block]]:
    """The same, all parts together, each with its start."""
    blocks = read_packed(connection, [grouping], grain, from_ns, to_ns, parts)
    for start_ns, some in groupby(blocks, lambda block: block[1]):
        yield start_ns, joined([unpacked(grouping, grain, packed) for *_, packed in some])


def unpacked(grouping: int, grain: Grain, packed: PackedBlock) -> Block:
    rows, dimensions = packed.groups, len(GROUPINGS[grouping]) + grain.is_series
    ranked, rest = decode_ranked(packed.ranked, dimensions, rows), decode_rest(packed.rest, rows)
    figures = Figures(ranked.ids, [*ranked.measures, *rest.measures], [*ranked.known, *rest.known])
    return Block(figures, *decode_durations(packed.durations, rows))
