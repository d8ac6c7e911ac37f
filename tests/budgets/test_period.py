"""Windows of budgets: exact instants at the turns of hour, day, week and month, through changes of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outlay.budgets.period import CALENDAR, Period

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Asia/Beirut",
    "Pacific/Apia",
    "Pacific/Chatham",
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def period(name: str, zone: str = "UTC") -> Period:
    found = Period.read(name, zone)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "zone", "now", "start", "end"),
    [
        ("day", "UTC", "2026-11-21T00:00", "2026-11-21T00:00", "2026-11-22T00:00"),
        ("day", "UTC", "2026-11-20T23:59:59.999999", "2026-11-20T00:00", "2026-11-21T00:00"),
        # Berlin 2026: clocks forward on 29 March (23 hours), back on 25 October (25 hours)
        ("day", "Europe/Berlin", "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("day", "Europe/Berlin", "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00"),
        ("hour", "Europe/Berlin", "2026-10-25T00:30", "2026-10-25T00:00", "2026-10-25T01:00"),
        ("hour", "Europe/Berlin", "2026-10-25T01:30", "2026-10-25T01:00", "2026-10-25T02:00"),
        ("hour", "Asia/Kolkata", "2026-11-21T10:40", "2026-11-21T10:30", "2026-11-21T11:30"),
        ("week", "Europe/Berlin", "2026-10-25T22:59", "2026-10-18T22:00", "2026-10-25T23:00"),
        ("month", "America/New_York", "2026-11-21T00:00", "2026-11-01T04:00", "2026-12-01T05:00"),
        ("month", "UTC", "2028-02-29T23:00", "2028-02-01T00:00", "2028-03-01T00:00"),
        # no midnight: on 4 November 2018 Sao Paulo went from 23:59:59 to 01:00
        ("day", "America/Sao_Paulo", "2018-11-04T03:00", "2018-11-04T03:00", "2018-11-05T02:00"),
        # two midnights: on 1 November 2026 Havana's 00:00 to 01:00 comes twice
        ("day", "America/Havana", "2026-11-01T05:30", "2026-11-01T04:00", "2026-11-02T05:00"),
    ],
)
def test_a_calendar_window_starts_and_ends_with_local_time(
    name: str, zone: str, now: str, start: str, end: str
) -> None:
    assert period(name, zone).window(utc(now)) == (utc(start), utc(end))


@given(
    zone=st.sampled_from(ZONES),
    name=st.sampled_from(CALENDAR),
    minutes=st.integers(0, 30 * 366 * 24 * 60),
    second=st.sampled_from([0, 59.999999]),
)
def test_calendar_windows_follow_each_other_without_gap_or_overlap(
    zone: str, name: str, minutes: int, second: float
) -> None:
    now = utc("2005-01-01") + timedelta(minutes=minutes, seconds=second)
    this = period(name, zone)
    start, end = this.window(now)
    assert end is not None
    assert start <= now < end
    assert this.window(start) == (start, end)
    assert this.window(end - timedelta(microseconds=1)) == (start, end)
    assert this.window(end).start == end


def test_a_rolling_window_ends_now_and_never_resets() -> None:
    now = utc("2026-03-29T12:00")
    assert period("rolling 24h", "Europe/Berlin").window(now) == (utc("2026-03-28T12:00"), None)
    assert period("rolling 30 d").window(now).start == utc("2026-02-27T12:00")


@pytest.mark.parametrize("text", ["rolling", "rolling 0h", "rolling 24", "rolling 400d", "fortnight", "Day", ""])
def test_a_period_that_is_none_is_not_guessed(text: str) -> None:
    assert Period.read(text) is None
