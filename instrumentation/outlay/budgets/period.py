"""The windows a budget counts in: clock hours, days, weeks and months of a time zone, or the last so many hours.

Pure arithmetic on instants. Calendar windows follow each other without gap or overlap, through every change of the
clocks: a day is from one local midnight to the next (23, 24 or 25 hours), an hour is the n-th hour of such a day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, NamedTuple, cast
from zoneinfo import ZoneInfo

Calendar = Literal["hour", "day", "week", "month"]
CALENDAR: Final[tuple[Calendar, ...]] = ("hour", "day", "week", "month")
_ROLLING: Final = re.compile(r"rolling ([1-9][0-9]{0,4}) ?(m|h|d)")
_LENGTHS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_LONGEST_ROLLING: Final = timedelta(days=366)
_HOUR: Final = timedelta(hours=1)


class Window(NamedTuple):
    """A stretch of time, half-open, in UTC. `end` is None for a rolling window: it never resets, it slides."""

    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Period:
    """How often a budget starts anew. `length` is None for the calendar's own periods."""

    name: str
    timezone: str = "UTC"
    length: timedelta | None = None

    @classmethod
    def read(cls, text: str, timezone: str = "UTC") -> Period | None:
        """The period of that name: `day`, `rolling 24h`. None where the text is neither. An unknown zone raises
        `ZoneInfoNotFoundError` or ValueError."""
        ZoneInfo(timezone)
        if text in CALENDAR:
            return cls(text, timezone)
        found = _ROLLING.fullmatch(text)
        if found is None:
            return None
        length = int(found[1]) * _LENGTHS[found[2]]
        return cls(f"rolling {found[1]}{found[2]}", timezone, length) if length <= _LONGEST_ROLLING else None

    def window(self, now: datetime) -> Window:
        """The window `now` (aware) falls into; for a rolling period the one that ends with it."""
        now = now.astimezone(UTC)
        if self.length is not None:
            return Window(now - self.length, None)
        zone = ZoneInfo(self.timezone)
        calendar = cast(Calendar, self.name)
        first, after = _days(calendar, now.astimezone(zone).date())
        start, end = _midnight(first, zone), _midnight(after, zone)
        if calendar == "hour":
            start += (now - start) // _HOUR * _HOUR
            end = min(start + _HOUR, end)
        return Window(start, end)


def _days(calendar: Calendar, day: date) -> tuple[date, date]:
    """The first day of the calendar period around `day`, and the first day after it."""
    if calendar == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=7)
    if calendar == "month":
        first = day.replace(day=1)
        return first, (first + timedelta(days=32)).replace(day=1)
    return day, day + timedelta(days=1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant a local day begins. Where the clocks skip midnight, the instant they do; where midnight comes
    twice, the first."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
