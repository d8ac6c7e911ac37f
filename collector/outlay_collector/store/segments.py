"""Which parts of a window are read from rollups and which from calls. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from outlay_collector.store.rollups import DAY_NS, HOUR_NS, QUARTER_NS

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


def needs_parts(buckets: Iterable[tuple[int, int, int]], length_ns: int, listed: Listed) -> tuple[int, int] | None:
    """The window in which shorter periods must be known: whatever is no whole period of this length that is summed up.

    None: nowhere.
    """
    starts = [
        at
        for _, start, end in buckets
        for at in range(start - start % length_ns, end, length_ns)
        if at < start or at + length_ns > end or listed.get(at, False)
    ]
    return (min(starts), max(starts) + length_ns) if starts else None


def plan(buckets: Iterable[tuple[int, int, int]], listed: Mapping[int, Listed]) -> list[Segment]:
    """The fewest segments that cover all calls of the buckets once; stretches without calls are in none or any.

    `listed` has the periods of each length, where shorter ones are needed those too.
    """
    segments: list[Segment] = []
    for bucket, start, end in buckets:
        before = len(segments)
        for length_ns, begin, stop in _pieces(start, end, listed):
            last = segments[-1] if len(segments) > before else None
            if last is not None and last.length_ns == length_ns:
                last.end_ns = stop
            else:
                segments.append(Segment(bucket, length_ns, begin, stop))
    return segments


def _pieces(start: int, end: int, listed: Mapping[int, Listed]) -> Iterator[tuple[int | None, int, int]]:
    at = start
    while at < end:
        for length_ns in (DAY_NS, HOUR_NS, QUARTER_NS):
            periods = listed[length_ns]
            if at % length_ns == 0 and at + length_ns <= end and not periods.get(at, False):
                if at in periods:
                    yield length_ns, at, at + length_ns
                at += length_ns
                break
        else:
            quarter = at - at % QUARTER_NS
            stop = min(end, quarter + QUARTER_NS)
            if quarter in listed[QUARTER_NS]:
                yield None, at, stop
            at = stop
