"""The stretches of time, cut at the edges of buckets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from outlay_dashboard.window import WINDOWS, window

NOW = datetime(2026, 11, 21, 13, 45, 12, 345, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "first", "last", "interval"),
    [
        ("1h", "2026-11-21T12:46:00+00:00", "2026-11-21T13:46:00+00:00", "minute"),
        ("24h", "2026-11-20T14:00:00+00:00", "2026-11-21T14:00:00+00:00", "hour"),
        ("7d", "2026-11-14T14:00:00+00:00", "2026-11-21T14:00:00+00:00", "hour"),
        ("30d", "2026-10-23T00:00:00+00:00", "2026-11-22T00:00:00+00:00", "day"),
        ("Month", "2026-11-01T00:00:00+00:00", "2026-11-22T00:00:00+00:00", "day"),
    ],
)
def test_a_window_holds_whole_buckets_and_the_one_of_now(name: str, first: str, last: str, interval: str) -> None:
    shown = window(name, NOW, "UTC")
    assert (shown.from_at.isoformat(), shown.to_at.isoformat(), shown.interval) == (first, last, interval)


def test_days_and_months_are_those_of_the_time_zone() -> None:
    shown = window("Month", datetime(2026, 12, 1, 3, tzinfo=UTC), "America/New_York")
    assert shown.from_at == datetime(2026, 11, 1, tzinfo=ZoneInfo("America/New_York"))
    assert shown.from_at.isoformat() == "2026-11-01T00:00:00-04:00"


def test_a_day_on_which_the_clocks_change_still_has_24_hours_behind_it() -> None:
    # Berlin, 2026-10-25: 03:00 summer time becomes 02:00 winter time.
    shown = window("24h", datetime(2026, 10, 25, 12, 30, tzinfo=UTC), "Europe/Berlin")
    assert shown.to_at.timestamp() - shown.from_at.timestamp() == timedelta(hours=24).total_seconds()
    assert shown.from_at.isoformat() == "2026-10-24T15:00:00+02:00"


@pytest.mark.parametrize("name", WINDOWS)
def test_two_refreshes_within_one_bucket_ask_the_same_question(name: str) -> None:
    assert window(name, NOW, "UTC") == window(name, NOW + timedelta(seconds=30), "UTC")
