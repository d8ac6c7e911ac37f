"""Which parts of a window are read from rollups and which from calls. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from outlay_collector.store.rollups import DAY_NS, QUARTER_NS

Listed = Mapping[int, bool]
"""Starts of the periods that have calls, and whether they are stale."""


@dataclass(slots=True)
class Segment:
    """A part of one bucket. `length_ns`: of the rollups that hold it; None where only the calls do."""

    bucket: int
    length_ns: int | None
    start_ns: int
    end_ns: int


def of_calls(buckets: Iterable[tuple[int, int, int]]) -> list[Segment]:
    """Every bucket, as (place, start, end), from its calls."""
    return [Segment(bucket, None, start, end) for bucket, start, end in buckets]


def needs_quarters(buckets: Iterable[tuple[int, int, int]], days: Listed) -> tuple[int, int] | None:
    """The window in which quarters must be known: whatever is not a whole day that is summed up. None: nowhere."""
    starts = [
        day
        for _, start, end in buckets
        for day in range(start - start % DAY_NS, end, DAY_NS)
        if day < start or day + DAY_NS > end or days.get(day, False)
    ]
    return (min(starts), max(starts) + DAY_NS) if starts else None


def plan(buckets: Iterable[tuple[int, int, int]], days: Listed, quarters: Listed) -> list[Segment]:
    """The fewest segments that cover all calls of the buckets once; stretches without calls are in none or any."""
    segments: list[Segment] = []
    for bucket, start, end in buckets:
        before = len(segments)
        for length_ns, begin, stop in _pieces(start, end, days, quarters):
            last = segments[-1] if len(segments) > before else None
            if last is not None and last.length_ns == length_ns:
                last.end_ns = stop
            else:
                segments.append(Segment(bucket, length_ns, begin, stop))
    return segments


def _pieces(start: int, end: int, days: Listed, quarters: Listed) -> Iterator[tuple[int | None, int, int]]:
    at = start
    while at < end:
        day = at - at % DAY_NS
        tomorrow = day + DAY_NS
        if at == day and tomorrow <= end and not days.get(day, False):
            if day in days:
                yield DAY_NS, at, tomorrow
            at = tomorrow
            continue
        quarter = at - at % QUARTER_NS
        stop = min(end, quarter + QUARTER_NS)
        if quarter in quarters:
            whole = at == quarter and stop == quarter + QUARTER_NS and not quarters[quarter]
            yield QUARTER_NS if whole else None, at, stop
        at = stop
