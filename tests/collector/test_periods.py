"""Days, hours and months of real time zones: half hours, 23 and 25 hours, clocks moved by half an hour."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outlay_collector.periods import INTERVALS, Interval, edges, from_ns, rfc3339, start_of, to_ns

HOUR = 3_600_000_000_000


def ns(text: str) -> int:
    return to_ns(datetime.fromisoformat(text))


def cut(interval: Interval, start: str, end: str, zone: str) -> list[str]:
    return [rfc3339(edge, ZoneInfo(zone)) for edge in edges(interval, ns(start), ns(end), ZoneInfo(zone))]


def test_days_begin_at_local_midnight() -> None:
    assert cut("day", "2026-11-01T12:00:00Z", "2026-11-02T12:00:00Z", "Asia/Kolkata") == [
        "2026-11-01T00:00:00+05:30",
        "2026-11-02T00:00:00+05:30",
        "2026-11-03T00:00:00+05:30",
    ]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_on_which_clocks_move_has_its_own_length(day: str, hours: int) -> None:
    zone = ZoneInfo("Europe/Berlin")
    noon = to_ns(datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=zone))
    begin, end = list(edges("day", noon, noon + 1, zone))
    assert end - begin == hours * HOUR
    assert len(list(edges("hour", begin, end, zone))) == hours + 1


def test_the_hour_that_happens_twice_is_two_hours() -> None:
    assert cut("hour", "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z", "Europe/Berlin") == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]


def test_clocks_moved_by_half_an_hour_leave_hours_on_the_hour() -> None:
    # Lord Howe Island goes from +10:30 to +11:00 at 02:00 on 2026-10-04.
    assert cut("hour", "2026-10-03T14:30:00Z", "2026-10-03T16:30:00Z", "Australia/Lord_Howe") == [
        "2026-10-04T01:00:00+10:30",
        "2026-10-04T02:30:00+11:00",
        "2026-10-04T03:00:00+11:00",
        "2026-10-04T04:00:00+11:00",
    ]


def test_a_day_that_has_no_midnight_begins_when_its_clocks_first_show_it() -> None:
    # Beirut's clocks go from 00:00 to 01:00 on 2026-03-29.
    assert cut("day", "2026-03-29T10:00:00Z", "2026-03-29T11:00:00Z", "Asia/Beirut") == [
        "2026-03-29T01:00:00+03:00",
        "2026-03-30T00:00:00+03:00",
    ]


def test_months_are_calendar_months() -> None:
    assert cut("month", "2026-12-15T00:00:00Z", "2027-01-01T00:00:01Z", "UTC") == [
        "2026-12-01T00:00:00Z",
        "2027-01-01T00:00:00Z",
        "2027-02-01T00:00:00Z",
    ]


@given(
    at=st.integers(0, 4_000_000_000).map(lambda s: s * 1_000_000_000),
    length=st.integers(1, 40 * 24 * 3600).map(lambda s: s * 1_000_000_000),
    interval=st.sampled_from(INTERVALS[1:]),
    zone=st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Havana"]),
)
def test_edges_cover_the_window_rise_and_begin_their_interval(
    at: int, length: int, interval: Interval, zone: str
) -> None:
    cuts = list(edges(interval, at, at + length, ZoneInfo(zone)))
    assert cuts[0] <= at < cuts[1]
    assert cuts[-2] < at + length <= cuts[-1]
    assert cuts == sorted(set(cuts))
    for begin in cuts[1:-1]:
        assert start_of(interval, begin, ZoneInfo(zone)) == begin


def test_times_keep_their_microseconds() -> None:
    at = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
    assert from_ns(to_ns(at)) == at
