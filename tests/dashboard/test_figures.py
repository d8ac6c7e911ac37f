"""From rows to figures: what is drawn where, and what it says when pointed at."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from outlay_dashboard import figures
from outlay_dashboard.answers.usage import UsageRow
from outlay_dashboard.theme import NEUTRAL
from outlay_dashboard.window import window

RowMaker = Callable[..., UsageRow]

SHOWN = window("24h", datetime(2026, 11, 21, 13, 45, tzinfo=UTC), "UTC")
COLOURS = {"a": "#111111", "b": "#222222", None: NEUTRAL}


def hover(trace: Any) -> list[str]:
    return [said[0] for said in trace.customdata]


def test_spend_is_stacked_one_colour_a_name(usage_row: RowMaker) -> None:
    rows = [
        usage_row(bucket="2026-11-21T12:00:00Z", model="a", cost_usd="0.25"),
        usage_row(bucket="2026-11-21T13:00:00Z", model="a", cost_usd="0.50"),
        usage_row(bucket="2026-11-21T13:00:00Z", model="b", cost_usd="1.5"),
    ]
    drawn = figures.spend_over_time(rows, [], {"a": "#111111", "b": "#222222"}, SHOWN)
    assert drawn.layout.barmode == "stack"
    assert [(bar.name, bar.marker.color, list(bar.y)) for bar in drawn.data] == [
        ("a", "#111111", [0.25, 0.5]),
        ("b", "#222222", [1.5]),
    ]


def test_a_bar_says_its_spend_to_the_last_digit_and_what_it_leaves_out(usage_row: RowMaker) -> None:
    rows = [usage_row(bucket="2026-11-21T12:00:00Z", model="a", calls=9, cost_usd="0.049400251", unpriced_calls=2)]
    drawn = figures.spend_over_time(rows, rows, {"a": "#111111"}, SHOWN)
    assert hover(drawn.data[0]) == ["$0.049400251 and 2 calls without a price"]


def test_what_the_leaders_leave_of_a_bucket_is_one_grey_bar(usage_row: RowMaker) -> None:
    leaders = [
        usage_row(bucket="2026-11-21T11:00:00Z", model="a", calls=2, cost_usd="0.5"),
        usage_row(bucket="2026-11-21T12:00:00Z", model="a", calls=2, cost_usd="1"),
    ]
    everything = [
        usage_row(bucket="2026-11-21T11:00:00Z", calls=2, cost_usd="0.5"),
        usage_row(bucket="2026-11-21T12:00:00Z", calls=5, cost_usd="1.300000001", unpriced_calls=1),
        usage_row(bucket="2026-11-21T13:00:00Z", calls=3, unpriced_calls=3),
    ]
    other = figures.spend_over_time(leaders, everything, {"a": "#111111"}, SHOWN).data[1]
    assert (other.name, other.marker.color) == ("other", NEUTRAL)
    assert [at.hour for at in other.x] == [12, 13]
    assert hover(other) == ["$0.300000001 and 1 call without a price", "3 calls without a price"]


def test_times_are_those_of_the_readers_clock(usage_row: RowMaker) -> None:
    tokyo = window("24h", datetime(2026, 11, 21, 13, 45, tzinfo=UTC), "Asia/Tokyo")
    rows = [usage_row(bucket="2026-11-21T12:00:00Z", model="a", cost_usd="1")]
    assert (
        figures.spend_over_time(rows, rows, {"a": "#111111"}, tokyo).data[0].x[0].isoformat() == "2026-11-21T21:00:00"
    )


def test_the_axis_runs_to_now_even_where_the_last_call_is_old(usage_row: RowMaker) -> None:
    rows = [usage_row(bucket="2026-11-20T20:00:00Z", model="a", cost_usd="1")]
    drawn = figures.spend_over_time(rows, rows, {"a": "#111111"}, SHOWN)
    assert [edge.isoformat() for edge in drawn.layout.xaxis.range] == ["2026-11-20T14:00:00", "2026-11-21T14:00:00"]


def test_the_ranking_puts_unknown_spend_last_and_never_calls_it_zero(usage_row: RowMaker) -> None:
    totals = figures.ranked(
        [
            usage_row(model="b", calls=7, unpriced_calls=7),
            usage_row(model=None, cost_usd="0.25"),
            usage_row(model="a", cost_usd="0.75"),
        ]
    )
    assert [row.group[0] for row in totals] == ["a", None, "b"]
    whole = [usage_row(calls=9, cost_usd="1.00", unpriced_calls=7)]
    words = [note.text for note in figures.ranking(totals, whole, COLOURS).layout.annotations]
    assert words == ["a", "<b>$0.75</b>  75%", "(not set)", "<b>$0.25</b>  25%", "b", "<b>7 unpriced</b>"]


def test_the_ranking_says_what_an_amount_leaves_out(usage_row: RowMaker) -> None:
    totals = [usage_row(model="a", calls=48, cost_usd="0", unpriced_calls=47)]
    words = [note.text for note in figures.ranking(totals, totals, COLOURS).layout.annotations]
    assert words == ["a", "<b>$0.00</b> + 47 unpriced"]


def test_the_ranking_sums_what_it_does_not_name(usage_row: RowMaker) -> None:
    totals = [usage_row(model=str(number), cost_usd="0.1") for number in range(10)]
    colours: dict[str | None, str] = {str(number): "#111111" for number in range(10)}
    whole = [usage_row(calls=10, cost_usd="1.0")]
    words = [note.text for note in figures.ranking(totals, whole, colours).layout.annotations]
    assert words[-2:] == ["other", "<b>$0.20</b>  20%"]


def test_a_name_that_looks_like_markup_is_shown_as_it_is(usage_row: RowMaker) -> None:
    totals = [usage_row(model="<b>%{x}</b>", cost_usd="1")]
    drawn = figures.ranking(totals, totals, {"<b>%{x}</b>": "#111111"})
    assert drawn.layout.annotations[0].text.startswith("&lt;b&gt;%&#123;x}")


def test_no_line_is_drawn_through_hours_without_a_call(usage_row: RowMaker) -> None:
    rows = [
        usage_row(bucket="2026-11-21T08:00:00Z", latency_ms={"p50": 900.0, "p95": 2000.0, "p99": None}),
        usage_row(bucket="2026-11-21T05:00:00Z", latency_ms={"p50": 800.0, "p95": 1000.0, "p99": None}),
        usage_row(bucket="2026-11-21T09:00:00Z"),
    ]
    p50, p95 = figures.latency(rows, SHOWN).data
    assert list(p50.y) == [0.8, None, 0.9]
    assert list(p95.y) == [1.0, None, 2.0]
    assert list(p95.customdata[2]) == ["2.00 s", 2000.0]


def test_failures_and_rate_limits_are_counted_apart(usage_row: RowMaker) -> None:
    rows = [usage_row(bucket="2026-11-21T12:00:00Z", calls=10, errors=2, rate_limited=5)]
    assert [(bar.name, list(bar.y)) for bar in figures.failures(rows, SHOWN).data] == [
        ("failed calls", [2]),
        ("rate-limited attempts", [5]),
    ]


def test_the_parts_of_the_input_add_up_to_it(usage_row: RowMaker) -> None:
    rows = [
        usage_row(
            bucket="2026-11-21T12:00:00Z", input_tokens=1000, cache_read_tokens=600, cache_write_tokens=150
        )
    ]  # fmt: skip
    assert [(bar.name, list(bar.y)) for bar in figures.input_tokens(rows, SHOWN).data] == [
        ("read from cache", [600]),
        ("written to cache", [150]),
        ("not cached", [250]),
    ]


def test_tokens_nobody_reported_are_no_bar(usage_row: RowMaker) -> None:
    rows = [
        usage_row(bucket="2026-11-21T11:00:00Z", input_tokens=None, cache_read_tokens=None, cache_write_tokens=None),
        usage_row(bucket="2026-11-21T12:00:00Z", input_tokens=70, cache_read_tokens=None, cache_write_tokens=None),
    ]
    assert [list(bar.y) for bar in figures.input_tokens(rows, SHOWN).data] == [[None, None], [None, None], [70]]


def test_no_row_at_all_is_an_empty_figure_and_no_error() -> None:
    assert len(figures.spend_over_time([], [], {}, SHOWN).data) == 0
    assert len(figures.ranking([], [], {}).data) == 0
    assert all(len(trace.x) == 0 for trace in figures.latency([], SHOWN).data)
    assert all(len(trace.x) == 0 for trace in figures.failures([], SHOWN).data)
