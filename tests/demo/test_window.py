"""Which time a report is about."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from outlay_collector.cli import CommandError
from outlay_collector.cli.window import window

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


def test_without_options_it_is_the_last_thirty_days_and_today_so_far() -> None:
    found = window(None, None, "UTC", NOW)
    assert found.begin == datetime(2026, 10, 21, tzinfo=UTC)
    assert found.end == NOW
    assert str(found) == "2026-10-21 00:00 to 2026-11-20 15:30 (UTC)"


def test_a_date_is_midnight_where_the_reader_is() -> None:
    found = window("2026-11-01", "2026-11-02", "America/New_York", NOW)
    assert found.begin == datetime(2026, 11, 1, 4, tzinfo=UTC)
    assert found.end == datetime(2026, 11, 2, 5, tzinfo=UTC)  # a day of 25 hours: the clocks go back


def test_a_time_with_an_offset_is_that_moment_in_any_zone() -> None:
    found = window("2026-11-01T10:00:00+02:00", None, "Asia/Tokyo", NOW)
    assert found.begin == datetime(2026, 11, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("begin", "end", "timezone", "said"),
    [
        ("yesterday", None, "UTC", "--from 'yesterday'"),
        (None, "2026-02-30", "UTC", "--to '2026-02-30'"),
        (None, None, "Mars/Olympus", "--timezone 'Mars/Olympus'"),
        ("2026-11-02", "2026-11-01", "UTC", "is not before --to"),
    ],
)
def test_what_is_no_window_is_refused_by_name(begin: str | None, end: str | None, timezone: str, said: str) -> None:
    with pytest.raises(CommandError) as refused:
        window(begin, end, timezone, NOW)
    assert said in str(refused.value)
