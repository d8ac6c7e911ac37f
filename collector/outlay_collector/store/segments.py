"""Which parts of a window are read from rollups and which from calls. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from outlay_collector.store.grains import DAY_NS, LENGTHS_NS, MINUTES, QUARTER_NS, Grain, whole
from outlay_collector.store.rollups import Kept

Range = tuple[int, int]


class Listed(NamedTuple):
    """What of a period (`Kept`) can be read: of all its calls, or of those that began before `held_until_ns` and have
    no higher id than `held_id`, which is 0 where it holds none. `edition`: of what it has, as `PeriodRow` says."""

    kept: int
    held: int = 0
    held_id: int = 0
    held_until_ns: int = 0
    edition: int = 0


Listing = Callable[[Mapping[int, Sequence[Range]]], Mapping[int, Mapping[int, Listed]]]
"""Given lengths and where in time for each: the periods there that have calls, by length and start."""
_NOT_LISTED: Final = Listed(0)
_MOST_RANGES: Final = 256
_SHARE: Final = 8
"""A series is read where a share of it is wanted: for less, the rows of the periods themselves are."""
Series = Mapping[Grain, Kept]
"""What may be read, and all that its period must have kept for it."""


@dataclass(slots=True)
class Segment:
    """A part of one bucket. `grain`: of the rollups that hold it; None where only the calls do. `after_id`: of these
    only the ones with a higher id. `editions`: of the periods whose rollups hold it, by their start."""

    bucket: int
    grain: Grain | None
    start_ns: int
    end_ns: int
    after_id: int = 0
    editions: dict[int, int] = field(default_factory=dict, compare=False)


def of_calls(buckets: Iterable[tuple[int, int, int]]) -> list[Segment]:
    """Every bucket, as (place, start, end), from its calls."""
    return [Segment(bucket, None, start, end) for bucket, start, end in buckets]


def plan(
    buckets: Iterable[tuple[int, int, int]],
    kept: Kept,
    series: Series,
    listing: Listing,
    now_ns: int | None = None,
) -> list[Segment]:
    """Segments that cover all calls of the buckets once, in rising order; stretches without calls are in none or any.

    `kept` is what a period must have to be read. `now_ns`: given where buckets end after it, which spares look-ups.
    """
    found: list[Segment] = []
    rest = [Segment(bucket, None, start, end) for bucket, start, end in buckets]
    longest = max((piece.end_ns - piece.start_ns for piece in rest), default=0)
    of_a_day = [grain for grain in series if grain.of_ns == DAY_NS and grain.length_ns <= longest]
    lengths = [
        length
        for length in reversed(LENGTHS_NS)
        if length == QUARTER_NS or length <= longest or (length == DAY_NS and of_a_day)
    ]
    periods = _Periods(listing, rest, lengths, now_ns)
    for length_ns in lengths:
        listed = periods.of(length_ns, _ranges(rest))
        starts, split = sorted(listed), []
        for piece in rest:
            parts = list(_split(piece, length_ns, starts, listed, kept))
            found += [part for part in parts if part.grain]
            split += [part for part in parts if not part.grain]
        rest = split
        if length_ns == DAY_NS:
            for grain in of_a_day:
                days = {day: listed[day].edition for day in starts if _has(listed[day], series[grain])}
                in_series, rest = _in_series(rest, grain, days)
                found += in_series
    minutes = series.get(MINUTES)
    for piece in rest:
        quarter = piece.start_ns - piece.start_ns % QUARTER_NS
        found += _of_quarter(piece, quarter, periods.of(QUARTER_NS, ()).get(quarter, _NOT_LISTED), kept, minutes)
    return _joined(found)


def _has(listed: Listed, kept: Kept) -> bool:
    return listed.kept & kept == kept


def _in_series(
    pieces: Sequence[Segment], grain: Grain, there: Mapping[int, int]
) -> tuple[list[Segment], list[Segment]]:
    """What of the pieces, none of which is of two periods, those series have, and what is left. `there`: when the
    periods begin of which there is one, and their editions."""
    by_period: defaultdict[int, list[Segment]] = defaultdict(list)
    for piece in pieces:
        by_period[piece.start_ns - piece.start_ns % grain.of_ns].append(piece)
    found, rest = [], []
    for start_ns, mine in by_period.items():
        edition = there.get(start_ns)
        parts = mine if edition is None else [part for piece in mine for part in _cut(piece, grain, start_ns, edition)]
        covered_ns = sum(part.end_ns - part.start_ns for part in parts if part.grain)
        if covered_ns * _SHARE < grain.of_ns:
            rest += mine
            continue
        found += [part for part in parts if part.grain]
        rest += [part for part in parts if not part.grain]
    return found, rest


class _Periods:
    """The periods of all lengths, asked for at once as if each long one could be read but the last two until now, which
    may not be over; then for what that left out."""

    def __init__(self, listing: Listing, pieces: Sequence[Segment], lengths: Sequence[int], now_ns: int | None) -> None:
        self._listing = listing
        self._ranges: dict[int, Sequence[Range]] = {}
        end_ns, last = max((piece.end_ns for piece in pieces), default=0), list[Segment]()
        end_ns = end_ns if now_ns is None else min(end_ns, now_ns + 1)
        for length_ns in lengths:
            self._ranges[length_ns] = _ranges([*pieces, *last])
            before_last = ((end_ns - 1) // length_ns - 1) * length_ns
            last = [Segment(0, None, before_last, before_last + 2 * length_ns)]
            pieces = [part for piece in pieces for part in _around_whole(piece, length_ns)]
        self._found = {length: dict(listed) for length, listed in listing(self._ranges).items()}

    def of(self, length_ns: int, ranges: Sequence[Range]) -> Mapping[int, Listed]:
        """At least those of the ranges."""
        known = self._ranges[length_ns]
        more = [(start, end) for start, end in ranges if not any(a <= start and end <= b for a, b in known)]
        found = self._found.setdefault(length_ns, {})
        if more:
            found |= self._listing({length_ns: more}).get(length_ns, {})
        return found


def _around_whole(piece: Segment, length_ns: int) -> Iterator[Segment]:
    """What of a piece is before and after its whole periods."""
    first, last = -(-piece.start_ns // length_ns) * length_ns, piece.end_ns - piece.end_ns % length_ns
    edges = ((piece.start_ns, first), (last, piece.end_ns)) if first < last else ((piece.start_ns, piece.end_ns),)
    for start, end in edges:
        if start < end:
            yield Segment(piece.bucket, None, start, end)


def _split(
    piece: Segment, length_ns: int, starts: Sequence[int], listed: Mapping[int, Listed], kept: Kept
) -> Iterator[Segment]:
    """The periods of a piece, as far as they have calls: those that can be read, and what must be read otherwise."""
    last: Segment | None = None
    for place in range(bisect_left(starts, piece.start_ns - length_ns + 1), len(starts)):
        start = starts[place]
        if start >= piece.end_ns:
            break
        begin, end = max(start, piece.start_ns), min(start + length_ns, piece.end_ns)
        grain = whole(length_ns) if end - begin == length_ns and listed[start].kept & kept else None
        if last is not None and last.grain and grain:
            last.end_ns = end  # between the two there is no call
            last.editions[start] = listed[start].edition
            continue
        if last is not None:
            yield last
        last = Segment(piece.bucket, grain, begin, end, editions={start: listed[start].edition} if grain else {})
    if last is not None:
        yield last


def _of_quarter(piece: Segment, quarter: int, listed: Listed, kept: Kept, minutes: Kept | None) -> Iterable[Segment]:
    """A part of a quarter that cannot be read whole, or that is not whole."""
    if listed.held & kept and piece.start_ns == quarter and piece.end_ns >= listed.held_until_ns:
        rest = Segment(piece.bucket, None, piece.start_ns, piece.end_ns, listed.held_id)
        held = {quarter: listed.edition}
        return Segment(piece.bucket, whole(QUARTER_NS), quarter, quarter + QUARTER_NS, editions=held), rest
    if minutes is None or not (listed.kept | listed.held) & minutes:
        return (piece,)
    parts = list(_cut(piece, MINUTES, quarter, listed.edition))
    summed = [part for part in parts if part.grain and listed.held_id]
    return *parts, *(Segment(part.bucket, None, part.start_ns, part.end_ns, listed.held_id) for part in summed)


def _cut(piece: Segment, grain: Grain, period_ns: int, edition: int) -> Iterator[Segment]:
    """What the series of a period has of a piece, and what is left of it."""
    first = -(-piece.start_ns // grain.length_ns) * grain.length_ns
    last = piece.end_ns - piece.end_ns % grain.length_ns
    if first >= last:
        yield piece
        return
    edges = ((None, piece.start_ns, first), (grain, first, last), (None, last, piece.end_ns))
    for its, start, end in edges:
        if start < end:
            yield Segment(piece.bucket, its, start, end, editions={period_ns: edition} if its else {})


def _ranges(pieces: Sequence[Segment]) -> list[Range]:
    """Where the pieces are: those that touch together or, where they are many, from the first to the last."""
    ranges: list[Range] = []
    for piece in sorted(pieces, key=lambda piece: piece.start_ns):
        if ranges and piece.start_ns <= ranges[-1][1]:
            ranges[-1] = ranges[-1][0], max(ranges[-1][1], piece.end_ns)
        else:
            ranges.append((piece.start_ns, piece.end_ns))
    return ranges if len(ranges) <= _MOST_RANGES else [(ranges[0][0], max(end for _, end in ranges))]


def _joined(segments: Iterable[Segment]) -> list[Segment]:
    """In the order of time, those that touch made one."""
    joined: list[Segment] = []
    for segment in sorted(segments, key=lambda s: (s.bucket, s.start_ns, s.after_id)):
        last = joined[-1] if joined else None
        if last and _key(last) == _key(segment) and last.end_ns == segment.start_ns:
            last.end_ns = segment.end_ns
            last.editions |= segment.editions
        else:
            joined.append(segment)
    return joined


def _key(segment: Segment) -> tuple[int, Grain | None, int]:
    return segment.bucket, segment.grain, segment.after_id
