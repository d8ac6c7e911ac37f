"""What a question reads: whole days from days, the rest from hours, quarters, minutes and calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from outlay_collector.store.rollups import (
    DAY_NS,
    HOUR_NS,
    LENGTHS_NS,
    MINUTE_NS,
    QUARTER_NS,
    Kept,
)
from outlay_collector.store.segments import Listed, Listing, Range, Segment, plan

DAY = 700 * DAY_NS  # a week begins with it


def listed(periods: dict[int, dict[int, Kept]], asked: list[set[int]] | None = None) -> Listing:
    """No more than is asked for; `asked` notes the lengths, look by look."""

    def listing(wanted: Mapping[int, Sequence[Range]]) -> dict[int, dict[int, Listed]]:
        if asked is not None:
            asked.append({length for length, ranges in wanted.items() if ranges})
        return {
            length: {
                start: Listed(kept)
                for start, kept in periods.get(length, {}).items()
                if any(begin - length < start < end for begin, end in ranges)
            }
            for length, ranges in wanted.items()
        }

    return listing


def test_whole_days_come_from_days_and_the_rest_from_hours_quarters_and_calls() -> None:
    next_day, one = DAY + DAY_NS, Kept.ONE
    periods = {
        7 * DAY_NS: {DAY: Kept(0)},
        DAY_NS: {DAY: one, next_day: Kept(0)},
        6 * HOUR_NS: {next_day: Kept(0)},
        HOUR_NS: {next_day: one, next_day + HOUR_NS: Kept(0)},
        QUARTER_NS: {next_day + HOUR_NS: one, next_day + HOUR_NS + QUARTER_NS: Kept(0)},
    }
    assert plan([(0, DAY, DAY + 3 * DAY_NS)], one, None, listed(periods)) == [
        Segment(0, DAY_NS, DAY, next_day),
        Segment(0, HOUR_NS, next_day, next_day + HOUR_NS),
        Segment(0, QUARTER_NS, next_day + HOUR_NS, next_day + HOUR_NS + QUARTER_NS),
        Segment(0, None, next_day + HOUR_NS + QUARTER_NS, next_day + HOUR_NS + 2 * QUARTER_NS),
    ]


def test_periods_are_looked_up_at_once_and_again_only_within_what_cannot_be_read() -> None:
    second, third = DAY + DAY_NS, DAY + 2 * DAY_NS
    window = (0, DAY, third + QUARTER_NS)
    filling = {length: {third: Kept(0)} for length in (6 * HOUR_NS, HOUR_NS)} | {QUARTER_NS: {third: Kept.ONE}}
    last = Segment(0, QUARTER_NS, third, third + QUARTER_NS)
    asked: list[set[int]] = []

    days = {DAY: Kept.ONE, second: Kept.ONE, third: Kept(0)}
    assert plan([window], Kept.ONE, None, listed({**filling, DAY_NS: days}, asked)) == [
        Segment(0, DAY_NS, DAY, third),
        last,
    ]
    assert asked == [{DAY_NS, 6 * HOUR_NS, HOUR_NS, QUARTER_NS}]

    asked.clear()
    parts = {DAY_NS: days | {second: Kept(0)}, 6 * HOUR_NS: {second: Kept.ONE, third: Kept(0)}}
    assert plan([window], Kept.ONE, None, listed(filling | parts, asked)) == [
        Segment(0, DAY_NS, DAY, second),
        Segment(0, 6 * HOUR_NS, second, second + 6 * HOUR_NS),
        last,
    ]
    assert asked == [{DAY_NS, 6 * HOUR_NS, HOUR_NS, QUARTER_NS}, {6 * HOUR_NS}]


def test_what_a_period_was_not_summed_up_by_is_read_from_its_calls() -> None:
    periods = {key: {DAY: Kept.ONE} for key in LENGTHS_NS}
    assert plan([(0, DAY, DAY + QUARTER_NS)], Kept.ALL, None, listed(periods)) == [
        Segment(0, None, DAY, DAY + QUARTER_NS)
    ]


def test_a_window_that_cuts_a_quarter_reads_its_minutes_and_then_its_calls() -> None:
    periods = {key: {DAY: Kept.ONE | Kept.MINUTES} for key in LENGTHS_NS}
    window = (0, DAY + 5, DAY + 4 * MINUTE_NS + 7)
    assert plan([window], Kept.ONE, Kept.MINUTES, listed(periods)) == [
        Segment(0, None, DAY + 5, DAY + MINUTE_NS),
        Segment(0, MINUTE_NS, DAY + MINUTE_NS, DAY + 4 * MINUTE_NS),
        Segment(0, None, DAY + 4 * MINUTE_NS, DAY + 4 * MINUTE_NS + 7),
    ]
    assert plan([window], Kept.ONE, Kept.MINUTES_ONE, listed(periods)) == [Segment(*window[:1], None, *window[1:])]
