"""The stretches of time the pages can show, and into what buckets each is cut.

Pure: `now` is an argument. A window begins at the edge of a bucket, so that the bars add up to the totals beside them
and two refreshes within one bucket ask the collector the same question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_LENGTH_OF: Final = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class Window:
    """From the first edge of a bucket to the end of the one that holds now, both in the zone the buckets are cut in."""

    from_at: datetime
    to_at: datetime
    interval: str
    words: str

    @property
    def bucket(self) -> timedelta:
        """The usual length of a bucket; a day may be an hour longer or shorter."""
        return _LENGTH_OF[self.interval]


def _last_hour(now: datetime) -> Window:
    minute = now.replace(second=0, microsecond=0)
    return Window(_later(minute, minutes=-59), _later(minute, minutes=1), "minute", "in the last hour")


def _last_day(now: datetime) -> Window:
    return Window(_later(_hour(now), hours=-23), _later(_hour(now), hours=1), "hour", "in the last 24 hours")


def _last_week(now: datetime) -> Window:
    return Window(_later(_hour(now), hours=1 - 7 * 24), _later(_hour(now), hours=1), "hour", "in the last 7 days")


def _last_30_days(now: datetime) -> Window:
    day = _midnight(now)
    return Window(day - timedelta(days=29), day + timedelta(days=1), "day", "in the last 30 days")


def _this_month(now: datetime) -> Window:
    day = _midnight(now)
    return Window(day.replace(day=1), day + timedelta(days=1), "day", "this month")


WINDOWS: Final[Mapping[str, Callable[[datetime], Window]]] = {
    "1h": _last_hour,
    "24h": _last_day,
    "7d": _last_week,
    "30d": _last_30_days,
    "Month": _this_month,
}


def window(name: str, now: datetime, timezone: str) -> Window:
    """`now` may be in any time zone; days and months are those of `timezone`."""
    return WINDOWS[name](now.astimezone(ZoneInfo(timezone)))


def _later(at: datetime, **length: float) -> datetime:
    """By elapsed time: the hour that a change of the clocks repeats or leaves out is counted as it passes."""
    return datetime.fromtimestamp(at.timestamp() + timedelta(**length).total_seconds(), at.tzinfo)


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
