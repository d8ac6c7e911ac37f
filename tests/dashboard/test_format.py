"""How amounts, counts and times are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outlay_dashboard import format as fmt


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("4.99", "$4.99"),
        ("1234567.891", "$1,234,567.89"),
        ("0.04940025", "$0.0494"),
        ("0.5", "$0.50"),
        ("0.999", "$0.999"),
        ("0.9999", "$1.00"),
        ("0.00000012", "$0.00000012"),
        ("0.000000001", "$0.000000001"),
        ("0", "$0.00"),
        ("2.005", "$2.00"),
        ("2.015", "$2.02"),
        ("-3.5", "-$3.50"),
    ],
)
def test_an_amount_shows_cents_or_three_digits_where_it_is_less_than_a_dollar(amount: str, text: str) -> None:
    assert fmt.usd(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0.04940025", "$0.04940025"),
        ("1234.5", "$1,234.50"),
        ("1E+3", "$1,000.00"),
        ("1E-9", "$0.000000001"),
        ("12.340000000", "$12.34"),
        ("0", "$0.00"),
    ],
)
def test_an_exact_amount_has_every_digit_and_no_exponent(amount: str, text: str) -> None:
    assert fmt.exact_usd(Decimal(amount)) == text


@given(st.integers(min_value=0, max_value=10**18))
def test_an_exact_amount_reads_back_as_itself_to_the_nano_dollar(nano_usd: int) -> None:
    amount = Decimal(nano_usd).scaleb(-9)
    assert Decimal(fmt.exact_usd(amount).replace("$", "").replace(",", "")) == amount


@given(st.integers(min_value=1, max_value=10**18))
def test_an_amount_that_is_not_zero_never_reads_as_zero(nano_usd: int) -> None:
    assert Decimal(fmt.usd(Decimal(nano_usd).scaleb(-9)).replace("$", "").replace(",", "")) > 0


def test_an_unknown_amount_is_a_dash_and_never_zero() -> None:
    assert fmt.usd(None) == "\N{EN DASH}"
    assert fmt.exact_usd(None) == "\N{EN DASH}"


def test_a_total_that_leaves_calls_out_says_how_many() -> None:
    assert fmt.spend(Decimal("4.99"), calls=10, unpriced=3) == "$4.99 and 3 calls without a price"
    assert fmt.spend(Decimal("4.99"), calls=10, unpriced=1) == "$4.99 and 1 call without a price"


def test_a_total_of_nothing_but_unpriced_calls_is_no_amount_at_all() -> None:
    assert fmt.spend(None, calls=1200, unpriced=1200) == "1,200 calls without a price"


def test_no_call_is_a_spend_of_zero_because_that_is_known() -> None:
    assert fmt.spend(None, calls=0, unpriced=0) == "$0.00"


def test_a_total_can_be_written_exactly() -> None:
    assert fmt.spend(Decimal("4.994020001"), calls=2, unpriced=0, exact=True) == "$4.994020001"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        ("0.756004450", "ratio", "75.6%"),
        ("0.536955", "ratio", "53.7%"),
        ("0.05", "ratio", "5%"),
        ("12.5", "usd", "$12.50"),
        ("10000", "ms", "10.0 s"),
        ("840.579133911", "ms", "841 ms"),
        ("3.2049", "times", "3.2 times"),
        ("1E+1", "count", "10"),
    ],
)
def test_the_value_of_an_alert_is_written_in_its_unit(value: str, unit: str, text: str) -> None:
    assert fmt.measure(Decimal(value), unit) == text
    assert fmt.measure(None, unit) == "\N{EN DASH}"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "\N{EN DASH}"),
        (0.42, "0.4 ms"),
        (840.4, "840 ms"),
        (999.6, "1.00 s"),
        (1241, "1.24 s"),
        (12_340, "12.3 s"),
        (99_960, "1 min 40 s"),
        (125_000, "2 min 05 s"),
        (11_520_000, "3 h 12 min"),
    ],
)
def test_a_duration_is_written_in_the_unit_it_is_felt_in(milliseconds: float | None, text: str) -> None:
    assert fmt.duration(milliseconds) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "\N{EN DASH}"),
        (0, "0%"),
        (0.0003, "0.03%"),
        (0.0123, "1.2%"),
        (0.05, "5.0%"),
        (0.384, "38%"),
        (1, "100%"),
    ],
)
def test_a_small_share_is_not_rounded_to_nothing(share: float | None, text: str) -> None:
    assert fmt.percent(share) == text


def test_time_to_come_and_time_passed_are_told_from_now() -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert fmt.until(now + timedelta(hours=3, minutes=12, seconds=40), now) == "in 3 h 12 min"
    assert fmt.until(now - timedelta(seconds=1), now) == "now"
    assert fmt.since(now - timedelta(minutes=7, seconds=30), now) == "7 min ago"
    assert fmt.since(now, now) == "just now"
    assert fmt.since(now - timedelta(days=4, hours=2), now) == "4 d 2 h ago"


def test_the_value_of_a_dimension_that_no_call_gave_has_a_name() -> None:
    assert fmt.name(None) == "(not set)"
    assert fmt.name("") == "(empty)"
    assert fmt.name("chat") == "chat"


def test_two_dollar_signs_and_underscores_stay_text_in_markdown() -> None:
    assert fmt.plain("$1 to $2 for my_model_x") == r"\$1 to \$2 for my\_model\_x"


def test_every_digit_of_a_count_is_shown() -> None:
    assert fmt.count(1234567) == "1,234,567"
    assert fmt.count(None) == "\N{EN DASH}"


def test_lost_calls_are_told_by_reason_and_silence_means_none() -> None:
    said = fmt.lost({"queue_full": 1200, "killed": 3})
    assert said is not None
    assert said.startswith("**1,203 calls were lost by clients** this month: killed 3, queue full 1,200.")
    assert (fmt.lost({"killed": 1}) or "").startswith("**1 call was lost by clients** this month: killed 1.")
    assert fmt.lost({}) is None
