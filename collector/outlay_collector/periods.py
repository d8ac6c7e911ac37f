"""Calendar arithmetic: where minutes, hours, days and months begin in a time zone. Pure.

A day belongs to a zone: it may have 23 or 25 hours, begin half an hour beside UTC's hours, or not begin at midnight.
All times are nanoseconds since the epoch; every edge is a whole second.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Literal, get_args

Interval = Literal["minute", "hour", "day", "month"]
INTERVALS: Final[tuple[Interval, ...]] = get_args(Interval)

NS_PER_S: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)


def to_ns(at: datetime) -> int:
    """Exact to the microsecond a datetime holds."""
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000


def from_ns(at_ns: int, zone: tzinfo = UTC) -> datetime:
    """In that zone; what is below a microsecond is cut."""
    return (_EPOCH + timedelta(microseconds=at_ns // 1000)).astimezone(zone)


def rfc3339(at_ns: int, zone: tzinfo = UTC) -> str:
    """As a timestamp with its offset, `Z` for UTC."""
    return from_ns(at_ns, zone).isoformat().replace("+00:00", "Z")


def start_of(interval: Interval, at_ns: int, zone: tzinfo) -> int:
    """When the minute, hour, day or month of that zone began."""
    return to_ns(_start(interval, from_ns(at_ns, zone)))


def edges(interval: Interval, from_: int, to: int, zone: tzinfo) -> Iterator[int]:
    """The starts of every interval that holds a time of `[from_, to)`, and the end of the last; rising."""
    at = _start(interval, from_ns(from_, zone))
    while True:
        at_ns = to_ns(at)
        yield at_ns
        if at_ns >= to:
            return
        at = _next(interval, at)


def _start(interval: Interval, at: datetime) -> datetime:
    if interval == "minute":
        return at.replace(second=0, microsecond=0)
    if interval == "hour":
        return _start_of_hour(at)
    return _midnight(at.year, at.month, 1 if interval == "month" else at.day, at.tzinfo)


def _start_of_hour(at: datetime) -> datetime:
    """On the hour; or when clocks were moved, where that was within the hour."""
    into = timedelta(minutes=at.minute, seconds=at.second, microseconds=at.microsecond)
    # In UTC: in local time an hour that happens twice would be taken for its first.
    before = at.astimezone(UTC) - into
    if before.astimezone(at.tzinfo).utcoffset() == at.utcoffset():
        return before.astimezone(at.tzinfo)
    after = at.astimezone(UTC).replace(microsecond=0)
    while after - before > _SECOND:
        middle = before + (after - before) // (2 * _SECOND) * _SECOND
        if middle.astimezone(at.tzinfo).utcoffset() == at.utcoffset():
            after = middle
        else:
            before = middle
    return after.astimezone(at.tzinfo)


def _next(interval: Interval, at: datetime) -> datetime:
    if interval in ("minute", "hour"):
        later = at.astimezone(UTC) + (_MINUTE if interval == "minute" else _HOUR)
        return _start(interval, later.astimezone(at.tzinfo))
    if interval == "day":
        day = at.date() + timedelta(days=1)
        return _midnight(day.year, day.month, day.day, at.tzinfo)
    year, month = (at.year + 1, 1) if at.month == 12 else (at.year, at.month + 1)
    return _midnight(year, month, 1, at.tzinfo)


def _midnight(year: int, month: int, day: int, zone: tzinfo | None) -> datetime:
    """The first instant of a day; where clocks skip midnight, what they show instead."""
    return datetime(year, month, day, tzinfo=zone).astimezone(UTC).astimezone(zone)
