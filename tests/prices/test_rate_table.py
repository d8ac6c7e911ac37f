"""The flat table of rates: how it is read, written and turned into one rate a unit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outlay.prices.entry import STANDARD, TIERS, BadRate, Period, read_rates
from outlay.units import UNITS

KEYS = st.builds(
    lambda unit, tier, above: "_".join(filter(None, (unit, tier, f"above_{above}" if above else ""))),
    st.sampled_from(sorted(UNITS)),
    st.sampled_from(["", *TIERS]),
    st.sampled_from([0, 200_000, 272_000]),
)
RATES = st.decimals(min_value=0, max_value=10**6, places=8).map(lambda rate: f"{rate:f}")
TABLES = st.dictionaries(KEYS, RATES, max_size=12).filter(
    lambda table: all(key.partition("_above_")[0] in table for key in table)
)


@given(TABLES)
def test_what_is_read_is_written_again(table: dict[str, str]) -> None:
    assert read_rates(table).flat() == table


@given(TABLES, st.sampled_from(["", *TIERS]), st.sampled_from([0, 200_000, 272_000]))
def test_every_unit_with_a_standard_rate_has_one_on_every_tier(
    table: dict[str, str], tier: str, threshold: int
) -> None:
    read = read_rates(table)
    if tier in read.rates:
        assert read.at(tier, threshold).keys() >= read.rates[STANDARD].keys()


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("input_batch_above_272000", ("input", "batch", 272_000)),
        ("input_above_272000_batch", ("input", "batch", 272_000)),
        ("web_search_per_1k", ("web_search", "", 0)),
        ("character_per_1m", ("character", "", 0)),
        ("image_each", ("image", "", 0)),
        ("cache_write_1h", ("cache_write_1h", "", 0)),
        ("output_fast", ("output", "fast", 0)),
    ],
)
def test_a_key_is_a_unit_a_tier_and_a_threshold(key: str, expected: tuple[str, str, int]) -> None:
    unit, tier, threshold = expected
    table = {"_".join(filter(None, (unit, tier))): "1"} if threshold else {}

    assert (threshold, Decimal(7)) in read_rates({**table, key: "7"}).rates[tier][unit]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"inputt": "1"}, "inputt = '1': expected a unit's name (did you mean input?)"),
        ({"input": "cheap"}, "input = 'cheap': expected a number of USD"),
        ({"input": True}, "input = True: expected a number of USD"),
        ({"input": None}, "input = None: expected a number of USD"),
        ({"input": "-1"}, "input = '-1': expected a number of USD from 0 to 1,000,000,000"),
        ({"input": float("nan")}, "input = nan: expected a number of USD from 0 to 1,000,000,000"),
        ({"input": "1", "output_above_200000": "2"}, "output_above_200000 = '2': expected output beside it"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_what_would_be_right(
    table: dict[str, object], message: str
) -> None:
    with pytest.raises(BadRate) as refused:
        read_rates(table)

    assert str(refused.value) == message


def test_a_float_is_the_number_it_is_written_as() -> None:
    assert read_rates({"input": 0.1}).rates[STANDARD]["input"] == ((0, Decimal("0.1")),)


def test_a_tiers_rate_without_a_threshold_of_its_own_moves_with_the_standard_rate() -> None:
    table = read_rates({"input": "5", "input_above_272000": "10", "input_batch": "2.5"})

    assert table.at("batch", 272_000)["input"] == Decimal(5)


def test_a_unit_a_tier_does_not_price_takes_the_tiers_rate_of_what_stands_in_for_it() -> None:
    table = read_rates({"input": "2", "cache_read": "0.5", "web_search": "10", "input_batch": "1"})

    assert table.at("batch", 0)["cache_read"] == Decimal(1)
    assert table.at("batch", 0)["web_search"] == Decimal(10)


def test_audio_never_stands_in_for_text() -> None:
    assert "input_audio" not in read_rates({"input": "2"}).at(STANDARD, 0)


@pytest.mark.parametrize(
    ("second", "holds"),
    [(59_399, False), (59_400, True), (86_399, True), (86_400, True), (88_199, True), (88_200, False)],
)
def test_hours_may_cross_midnight(second: int, holds: bool) -> None:
    assert Period(hours=((59_400, 1_800),)).holds(second * 10**9) is holds


def test_weekdays_are_those_of_the_utc_day() -> None:
    mondays = Period(weekdays=frozenset({0}))
    monday = 1_781_481_600  # 2026-06-15T00:00:00Z

    assert not mondays.holds((monday - 1) * 10**9)
    assert mondays.holds(monday * 10**9)
    assert mondays.holds((monday + 86_399) * 10**9)
    assert not mondays.holds((monday + 86_400) * 10**9)


def test_an_image_models_one_output_rate_is_that_of_its_images() -> None:
    image_model = read_rates({"input": "5", "input_image": "10", "output": "40"})
    chat_model = read_rates({"input": "5", "output": "40"})

    assert image_model.at(STANDARD, 0)["output_image"] == Decimal(40)
    assert "output_image" not in chat_model.at(STANDARD, 0)
