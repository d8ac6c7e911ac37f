"""Usage times price: lines, sums, statuses and their reasons."""

from __future__ import annotations

import decimal
import json
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outlay.model import Cost, CostStatus, Terms, Usage
from outlay.prices import Override, PriceBook, nano_usd
from outlay.prices.quote import quote_document
from outlay.units import INPUT_UNITS, OUTPUT_UNITS, UNITS

NOON = 1_781_524_800 * 10**9
"""2026-06-15T12:00:00Z."""


def cost(rates: dict[str, str], usage: Usage, terms: Terms | None = None, paid: str | None = None) -> Cost:
    book = PriceBook.empty().overridden([Override(provider="acme", model="m", rates=rates)])
    return book.cost(
        usage,
        provider="acme",
        model="m",
        at_ns=NOON,
        terms=terms or Terms(),
        provider_cost_usd=Decimal(paid) if paid else None,
    )


def test_each_unit_is_a_line_and_the_lines_are_the_sum() -> None:
    # 1,200 x $3 + 350 x $15 a million, 5 searches at $10 a thousand: 0.0036 + 0.00525 + 0.05.
    found = cost(
        {"input": "3", "output": "15", "web_search": "10"}, Usage({"input": 1200, "output": 350, "web_search": 5})
    )

    assert found.nano_usd == 58_850_000
    assert found.status is CostStatus.EXACT
    assert [(line.unit, line.quantity, line.rate_usd, line.per, line.cost_usd) for line in found.lines] == [
        ("input", 1200, Decimal(3), 1_000_000, Decimal("0.0036")),
        ("output", 350, Decimal(15), 1_000_000, Decimal("0.00525")),
        ("web_search", 5, Decimal(10), 1_000, Decimal("0.05")),
    ]


def test_the_sum_is_rounded_once_half_to_even() -> None:
    # 0.25 nano-USD a token: 2 tokens are 0.5 and round to 0, 6 are 1.5 and round to 2; two lines of 0.5 are 1.
    rates = {"input": "0.00025", "output": "0.00025"}

    assert cost(rates, Usage({"input": 2})).nano_usd == 0
    assert cost(rates, Usage({"input": 6})).nano_usd == 2
    assert cost(rates, Usage({"input": 2, "output": 2})).nano_usd == 1


def test_the_applications_decimal_settings_do_not_reach_the_figure() -> None:
    with decimal.localcontext() as context:
        context.prec = 3
        context.rounding = decimal.ROUND_UP
        found = cost({"input": "1.23456"}, Usage({"input": 7_654_321}))

    assert found.nano_usd == 9_449_718_534  # 7,654,321 x $1.23456 / 1,000,000 = $9.44971853...


def test_a_free_model_costs_nothing_exactly() -> None:
    found = cost({"input": "0", "output": "0"}, Usage({"input": 1000, "output": 100}))

    assert (found.nano_usd, found.status, found.reason) == (0, CostStatus.EXACT, None)


def test_a_used_unit_without_a_rate_makes_the_cost_partial_and_is_named() -> None:
    found = cost({"input": "2.5", "output": "10"}, Usage({"input": 500, "input_audio": 500, "output": 100}))

    assert (found.nano_usd, found.status) == (2_250_000, CostStatus.PARTIAL)
    assert found.reason == "no rate for input_audio"


def test_a_call_of_which_nothing_has_a_rate_is_unpriced_and_not_zero() -> None:
    found = cost({"web_search": "10"}, Usage({"input": 500, "output": 100}))

    assert (found.nano_usd, found.status, found.lines) == (None, CostStatus.UNPRICED, ())
    assert found.reason == "no rate for input, output"


def test_a_unit_that_was_not_used_needs_no_rate() -> None:
    assert cost({"input": "1"}, Usage({"input": 10, "output": 0, "web_search": 0})).status is CostStatus.EXACT


def test_an_inferred_count_makes_the_cost_estimated_for_its_reason() -> None:
    found = cost({"input": "1"}, Usage({"input": 10}, inferred="the remainder is taken to be text"))

    assert (found.status, found.reason) == (CostStatus.ESTIMATED, "the remainder is taken to be text")


def test_what_the_provider_says_it_cost_is_believed_with_ours_beside_it() -> None:
    found = cost({"input": "1"}, Usage({"input": 1000}), paid="0.0012")

    assert (found.nano_usd, found.status) == (1_200_000, CostStatus.PROVIDER_REPORTED)
    assert found.computed_nano_usd == 1_000_000
    assert [line.unit for line in found.lines] == ["input"]


def test_what_the_provider_says_it_cost_stands_where_we_have_no_price() -> None:
    book = PriceBook.empty()
    found = book.cost(None, provider="acme", model="m", at_ns=NOON, provider_cost_usd=Decimal("0.5"))

    assert (found.nano_usd, found.status, found.computed_nano_usd) == (
        500_000_000,
        CostStatus.PROVIDER_REPORTED,
        None,
    )


def test_a_cost_beyond_belief_is_unpriced_and_raises_nothing() -> None:
    found = cost({"input": "1000000000"}, Usage({"input": 10**15}))

    assert found.reason == "1000000000000000000 USD is more than any call can cost"


@pytest.mark.parametrize("paid", ["-1", "NaN", "Infinity", "1e100"])
def test_a_charge_that_is_no_amount_is_not_believed(paid: str) -> None:
    assert cost({"input": "1"}, Usage({"input": 1000}), paid=paid).nano_usd == 1_000_000


def test_reasoning_is_inside_output_unless_it_has_a_rate_of_its_own() -> None:
    usage = Usage({"output": 482, "reasoning": 448})

    # 482 x $0.40; and 34 x $0.40 + 448 x $1 a million.
    assert cost({"output": "0.40"}, usage).nano_usd == 192_800
    assert cost({"output": "0.40", "reasoning": "1"}, usage).nano_usd == 461_600


@pytest.mark.parametrize(
    ("quantities", "reason"),
    [
        ({}, "the provider reported no counts"),
        ({"input": -1}, "input is -1: negative"),
        ({"input": True}, "input is True: not a number"),
        ({"input": "12"}, "input is '12': not a number"),
        ({"audio_second": Decimal("NaN")}, "audio_second is NaN: not a number"),
        ({"input_smell": 3}, "unknown unit input_smell"),
        ({"input": 10**30}, f"input is {10**30}: more than any call can use"),
        ({"output": 5, "reasoning": 6}, "reasoning (6) is more than the output it is a part of (5)"),
    ],
)
def test_counts_that_cannot_be_true_are_unpriced_with_the_reason(quantities: dict[str, int], reason: str) -> None:
    found = cost({"input": "1", "output": "1", "audio_second": "1"}, Usage(quantities))

    assert (found.nano_usd, found.status, found.reason) == (None, CostStatus.UNPRICED, reason)


def test_a_response_without_usage_is_unpriced_for_the_readers_reason() -> None:
    book = PriceBook.empty()

    assert book.cost(None, provider="a", model="m", at_ns=0, reason_unread="cut short").reason == "cut short"
    assert book.cost(None, provider="a", model="m", at_ns=0).reason == "the provider reported no usage"


def test_each_model_that_worked_on_a_call_is_billed_at_its_own_rates() -> None:
    book = PriceBook.empty().overridden(
        [
            Override(provider="acme", model="main", rates={"input": "1"}),
            Override(provider="acme", model="adviser", rates={"input": "10"}),
        ]
    )
    usage = Usage({"input": 1000}, other_models=MappingProxyType({"adviser": Usage({"input": 500})}))
    unknown = Usage({"input": 1000}, other_models=MappingProxyType({"stranger": Usage({"input": 500})}))

    both = book.cost(usage, provider="acme", model="main", at_ns=NOON)
    half = book.cost(unknown, provider="acme", model="main", at_ns=NOON)

    assert (both.nano_usd, both.status) == (1_000_000 + 5_000_000, CostStatus.EXACT)
    assert (half.nano_usd, half.status) == (1_000_000, CostStatus.PARTIAL)
    assert half.reason == "no price list for provider acme: give stranger a [[price]] entry"


def test_searches_counted_both_ways_are_billed_once_the_way_the_price_counts() -> None:
    usage = Usage({"input": 1000, "web_search": 1, "web_search_query": 3})

    # A grounded prompt at $35 a thousand, or three queries at $14.
    assert cost({"input": "0", "web_search": "35"}, usage).nano_usd == 35_000_000
    assert cost({"input": "0", "web_search_query": "14"}, usage).nano_usd == 42_000_000
    assert cost({"input": "0"}, usage).status is CostStatus.PARTIAL


RATES = dict.fromkeys(UNITS, "1.5") | {"input": "3", "output": "15", "cache_read": "0.3", "reasoning": "15"}
TOKENS = st.integers(0, 10**9)
USAGES = st.dictionaries(st.sampled_from(sorted(INPUT_UNITS | OUTPUT_UNITS)), TOKENS, min_size=1).map(Usage)


@given(USAGES, st.sampled_from(sorted(INPUT_UNITS | OUTPUT_UNITS)), st.integers(1, 10**6))
def test_one_more_of_anything_is_never_cheaper(usage: Usage, unit: str, more: int) -> None:
    dearer = Usage({**usage.quantities, unit: usage.quantities.get(unit, 0) + more})

    before, after = cost(RATES, usage).nano_usd, cost(RATES, dearer).nano_usd

    assert before is not None
    assert after is not None
    assert after >= before


@given(USAGES, USAGES)
def test_splitting_a_call_never_makes_it_dearer_beyond_rounding(one: Usage, two: Usage) -> None:
    rates = {**RATES, "input_above_200000": "6", "output_above_200000": "22.5"}
    together = Usage(
        {u: one.quantities.get(u, 0) + two.quantities.get(u, 0) for u in {**one.quantities, **two.quantities}}
    )

    apart = (cost(rates, one).nano_usd or 0) + (cost(rates, two).nano_usd or 0)

    assert apart <= (cost(rates, together).nano_usd or 0) + 1


@given(st.integers(0, 2**63 - 1))
def test_an_amount_survives_its_text(amount: int) -> None:
    text = quote_document(Cost(nano_usd=amount, status=CostStatus.EXACT))["cost_usd"]

    assert "e" not in text.lower()
    assert nano_usd(Decimal(json.loads(json.dumps(text)))) == amount
