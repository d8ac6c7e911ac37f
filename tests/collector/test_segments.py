"""What a question reads: whole days from days, the rest from hours, quarters, minutes and calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from outlay_collector.store.grains import (
    DAY_NS,
    HOUR_NS,
    HOURS,
    LENGTHS_NS,
    MINUTE_NS,
    MINUTES,
    QUARTER_NS,
    QUARTERS,
    whole,
)
from outlay_collector.store.rollups import Kept
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
    assert plan([(0, DAY, DAY + 3 * DAY_NS)], one, {}, listed(periods)) == [
        Segment(0, whole(DAY_NS), DAY, next_day),
        Segment(0, whole(HOUR_NS), next_day, next_day + HOUR_NS),
        Segment(0, whole(QUARTER_NS), next_day + HOUR_NS, next_day + HOUR_NS + QUARTER_NS),
        Segment(0, None, next_day + HOUR_NS + QUARTER_NS, next_day + HOUR_NS + 2 * QUARTER_NS),
    ]


def test_periods_are_looked_up_at_once_and_again_only_within_what_cannot_be_read() -> None:
    second, third, fourth = (DAY + n * DAY_NS for n in (1, 2, 3))
    window = (0, DAY, fourth + QUARTER_NS)
    filling = {length: {fourth: Kept(0)} for length in (6 * HOUR_NS, HOUR_NS)} | {QUARTER_NS: {fourth: Kept.ONE}}
    last = Segment(0, whole(QUARTER_NS), fourth, fourth + QUARTER_NS)
    asked: list[set[int]] = []

    days = {DAY: Kept.ONE, second: Kept.ONE, third: Kept(0), fourth: Kept(0)}
    of_third = {6 * HOUR_NS: {third: Kept.ONE, fourth: Kept(0)}}
    assert plan([window], Kept.ONE, {}, listed({**filling, **of_third, DAY_NS: days}, asked)) == [
        Segment(0, whole(DAY_NS), DAY, third),
        Segment(0, whole(6 * HOUR_NS), third, third + 6 * HOUR_NS),
        last,
    ]
    assert asked == [{DAY_NS, 6 * HOUR_NS, HOUR_NS, QUARTER_NS}]

    asked.clear()
    parts = {DAY_NS: days | {second: Kept(0), third: Kept.ONE}, 6 * HOUR_NS: {second: Kept.ONE, fourth: Kept(0)}}
    assert plan([window], Kept.ONE, {}, listed(filling | parts, asked)) == [
        Segment(0, whole(DAY_NS), DAY, second),
        Segment(0, whole(6 * HOUR_NS), second, second + 6 * HOUR_NS),
        Segment(0, whole(DAY_NS), third, fourth),
        last,
    ]
    assert asked == [{DAY_NS, 6 * HOUR_NS, HOUR_NS, QUARTER_NS}, {6 * HOUR_NS}]


def test_the_periods_under_way_are_looked_up_with_the_others_where_a_window_goes_on_after_now() -> None:
    """As those of budgets do. No period that is not over can be read."""
    for hours in (1, 7, 30, 100):
        for minutes in (0, 1, 22, 59):
            now = DAY + hours * HOUR_NS + minutes * MINUTE_NS
            over = {
                length: {start: Kept.ONE if start + length <= now else Kept(0) for start in range(DAY, now + 1, length)}
                for length in LENGTHS_NS
            }
            for window in ((DAY, DAY + 7 * DAY_NS), (DAY, DAY + 31 * DAY_NS), (now - 1, now + HOUR_NS)):
                asked: list[set[int]] = []
                found = plan([(0, *window)], Kept.ONE, {}, listed(over, asked), now)
                assert len(asked) == 1
                assert found == plan([(0, *window)], Kept.ONE, {}, listed(over))


def test_what_a_period_was_not_summed_up_by_is_read_from_its_calls() -> None:
    periods = {key: {DAY: Kept.ONE} for key in LENGTHS_NS}
    assert plan([(0, DAY, DAY + QUARTER_NS)], Kept.ALL, {}, listed(periods)) == [
        Segment(0, None, DAY, DAY + QUARTER_NS)
    ]


def test_a_window_that_cuts_a_quarter_reads_its_minutes_and_then_its_calls() -> None:
    periods = {key: {DAY: Kept.ONE | Kept.MINUTES} for key in LENGTHS_NS}
    window = (0, DAY + 5, DAY + 4 * MINUTE_NS + 7)
    assert plan([window], Kept.ONE, {MINUTES: Kept.MINUTES}, listed(periods)) == [
        Segment(0, None, DAY + 5, DAY + MINUTE_NS),
        Segment(0, MINUTES, DAY + MINUTE_NS, DAY + 4 * MINUTE_NS),
        Segment(0, None, DAY + 4 * MINUTE_NS, DAY + 4 * MINUTE_NS + 7),
    ]
    assert plan([window], Kept.ONE, {MINUTES: Kept.MINUTES_ONE}, listed(periods)) == [
        Segment(*window[:1], None, *window[1:])
    ]


def test_hours_of_a_zone_between_those_of_utc_are_read_from_the_series_of_each_day() -> None:
    series = {HOURS: Kept.ONE | Kept.HOURS, QUARTERS: Kept.ONE | Kept.QUARTERS}
    second, everything = DAY + DAY_NS, Kept.ONE | Kept.HOURS | Kept.QUARTERS
    shorter = (6 * HOUR_NS, HOUR_NS, QUARTER_NS)
    periods = {each: dict.fromkeys(range(DAY, DAY + 2 * DAY_NS, each), Kept.ONE) for each in shorter}

    def read(days: dict[int, Kept], first_ns: int, number: int, length_ns: int = HOUR_NS) -> list[Segment]:
        buckets = [(n, first_ns + n * length_ns, first_ns + (n + 1) * length_ns) for n in range(number)]
        return plan(buckets, Kept.ONE, series, listed({DAY_NS: days, **periods}))

    half_past, both = DAY + 18 * HOUR_NS + 2 * QUARTER_NS, {DAY: everything, second: everything}
    assert read(both, half_past, 24) == [
        Segment(n, QUARTERS, half_past + n * HOUR_NS, half_past + (n + 1) * HOUR_NS) for n in range(24)
    ]
    assert read(both, DAY + 20 * HOUR_NS, 24) == [
        Segment(n, HOURS, DAY + (20 + n) * HOUR_NS, DAY + (21 + n) * HOUR_NS) for n in range(24)
    ]
    assert {part.grain for part in read({DAY: Kept.ONE, second: everything}, half_past, 24)} == {
        whole(QUARTER_NS),
        QUARTERS,
    }, "of a day without one, the quarters themselves"
    assert {part.grain for part in read(both, DAY + 2 * HOUR_NS, 2)} == {whole(HOUR_NS)}, "two hours need no series"
    of_a_day = read(both, half_past, 1, DAY_NS)
    assert {part.grain for part in of_a_day} == {whole(QUARTER_NS), HOURS}
    assert sum(part.end_ns - part.start_ns for part in of_a_day) == DAY_NS
