"""The user's `[[price]]` entries: what they say, when they win, and how a wrong one is refused."""

from __future__ import annotations

import tomllib
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from outlay.errors import ConfigError
from outlay.model import Cost, CostStatus, Terms, Usage
from outlay.prices import PriceBook, read_overrides

MILLION = Usage({"input": 1_000_000})


def ns(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp()) * 10**9


def cost(toml: str, provider: str, model: str, at: str = "2026-06-15T12:00:00Z", terms: Terms | None = None) -> Cost:
    book = PriceBook.bundled().overridden(read_overrides(tomllib.loads(toml)["price"], "outlay.toml"))
    return book.cost(MILLION, provider=provider, model=model, at_ns=ns(at), terms=terms or Terms())


def dollars(found: Cost) -> Decimal | None:
    return None if found.nano_usd is None else Decimal(found.nano_usd) / 10**9


def test_a_rate_of_ones_own_wins_over_the_book_and_names_its_entry() -> None:
    found = cost('[[price]]\nprovider = "openai"\nmodel = "gpt-4o"\ninput = 1.25\noutput = 5', "openai", "gpt-4o")

    assert dollars(found) == Decimal("1.25")
    assert found.status is CostStatus.EXACT
    assert found.source == "outlay.toml price[0]"


def test_an_entry_holds_from_its_first_day_until_the_day_it_ends() -> None:
    toml = '[[price]]\nprovider = "openai"\nmodel = "gpt-4o"\nfrom = 2026-07-01\nuntil = 2026-08-01\ninput = 1'

    assert dollars(cost(toml, "openai", "gpt-4o", "2026-06-30T23:59:59Z")) == Decimal("2.5")
    assert dollars(cost(toml, "openai", "gpt-4o", "2026-07-01T00:00:00Z")) == Decimal(1)
    assert dollars(cost(toml, "openai", "gpt-4o", "2026-07-31T23:59:59Z")) == Decimal(1)
    assert dollars(cost(toml, "openai", "gpt-4o", "2026-08-01T00:00:00Z")) == Decimal("2.5")


def test_a_model_the_book_does_not_know_has_no_price_outside_its_entrys_period() -> None:
    toml = '[[price]]\nprovider = "acme"\nmodel = "m"\nfrom = 2026-07-01T09:00:00+02:00\ninput = 1'

    before = cost(toml, "acme", "m", "2026-07-01T06:59:59Z")

    assert before.reason == "acme/m has no price at 2026-07-01T06:59:59Z"
    assert dollars(cost(toml, "acme", "m", "2026-07-01T07:00:00Z")) == Decimal(1)


def test_a_local_model_can_be_free() -> None:
    found = cost('[[price]]\nprovider = "ollama"\nmodel = "*"\ninput = 0\noutput = 0', "ollama", "llama3:8b")

    assert (found.nano_usd, found.status) == (0, CostStatus.EXACT)


def test_a_deployment_is_priced_as_the_model_behind_it() -> None:
    toml = '[[price]]\nprovider = "azure"\nmodel = "my-Deployment"\nsame_as = "gpt-4o"'

    found = cost(toml, "azure.ai.openai", "My-deployment")

    assert dollars(found) == Decimal("2.5")
    assert found.price_id is not None
    assert found.price_id.startswith("openai/gpt-4o#")
    assert dollars(cost(toml, "azure", "my-deployment", terms=Terms(batch=True))) == Decimal("1.25")


def test_an_inference_profile_is_priced_as_the_model_behind_it() -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/mi1dadi0g15f"
    toml = f'[[price]]\nprovider = "bedrock"\nmodel = "{arn}"\nsame_as = "global.anthropic.claude-opus-4-8-v1:0"'

    assert dollars(cost(toml, "bedrock", arn)) == Decimal(5)


def test_another_providers_model_is_named_with_its_provider() -> None:
    toml = '[[price]]\nprovider = "gateway"\nmodel = "fast"\nsame_as = { provider = "openai", model = "gpt-4o" }'

    assert dollars(cost(toml, "gateway", "fast")) == Decimal("2.5")


def test_rates_beside_same_as_change_only_those() -> None:
    toml = '[[price]]\nprovider = "openai"\nmodel = "gpt-4o"\nsame_as = "gpt-4o"\ninput = 2'
    book = PriceBook.bundled().overridden(read_overrides(tomllib.loads(toml)["price"], "outlay.toml"))

    found = book.cost(
        Usage({"input": 1_000_000, "output": 1_000_000}), provider="openai", model="gpt-4o", at_ns=ns("2026-06-15")
    )

    assert dollars(found) == Decimal(12)


def test_a_discount_is_taken_from_every_model_of_a_provider_in_its_period() -> None:
    toml = '[[price]]\nprovider = "openai"\ndiscount = 0.15\nfrom = 2026-06-01\nuntil = 2026-07-01'

    discounted = cost(toml, "openai", "gpt-4o")

    assert dollars(discounted) == Decimal("2.125")
    assert discounted.price_id is not None
    assert discounted.price_id.endswith("*0.85")
    assert dollars(cost(toml, "openai", "gpt-4o", "2026-07-01T00:00:00Z")) == Decimal("2.5")
    assert dollars(cost(toml, "anthropic", "claude-opus-5")) == Decimal(5)


def test_a_discount_is_taken_from_ones_own_rates_too() -> None:
    toml = '[[price]]\nprovider = "acme"\nmodel = "m"\ninput = 3\n[[price]]\nprovider = "acme"\ndiscount = 0.5'

    assert dollars(cost(toml, "acme", "m")) == Decimal("1.5")


def test_a_later_entry_wins_over_an_earlier_one() -> None:
    one = '[[price]]\nprovider = "acme"\nmodel = "m*"\ninput = 3\n'
    two = '[[price]]\nprovider = "acme"\nmodel = "mini"\ninput = 1\n'

    assert dollars(cost(one + two, "acme", "mini")) == Decimal(1)
    assert dollars(cost(two + one, "acme", "mini")) == Decimal(3)


def test_tiers_sizes_and_searches_are_written_as_in_the_book() -> None:
    toml = (
        '[[price]]\nprovider = "acme"\nmodel = "m"\ninput = 2\ninput_batch = 1\ninput_above_200000 = 4\n'
        "web_search_per_1k = 10"
    )

    assert dollars(cost(toml, "acme", "m")) == Decimal(4)
    assert dollars(cost(toml, "acme", "m", terms=Terms(batch=True))) == Decimal(2)


def test_an_alias_of_nothing_is_unpriced_and_names_the_entry() -> None:
    toml = '[[price]]\nprovider = "openai"\nmodel = "gpt-4o"\nsame_as = "gpt-4-oh"'

    assert cost(toml, "openai", "gpt-4o").reason == (
        "outlay.toml price[0] makes gpt-4o the same as gpt-4-oh: "
        "no price for openai/gpt-4-oh: give it a [[price]] entry"
    )


def test_aliases_of_one_another_come_to_an_end() -> None:
    one = '[[price]]\nprovider = "acme"\nmodel = "a"\nsame_as = "b"\n'
    two = '[[price]]\nprovider = "acme"\nmodel = "b"\nsame_as = "a"\n'

    assert cost(one + two, "acme", "a").status is CostStatus.UNPRICED


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"model": "m", "input": 1}, "price[0].provider = None: expected the name of a provider"),
        ({"provider": "openai", "input": 1}, "price[0].model = None: expected the name of a model or deployment"),
        ({"provider": "openai", "model": "m"}, "price[0].input = None: expected a rate in USD per million tokens"),
        ({"provider": "openai", "model": "m", "input": "x"}, "price[0].input = 'x': expected a number of USD"),
        (
            {"provider": "openai", "model": "m", "input": -1},
            "price[0].input = -1: expected a number of USD from 0 to 1,000,000,000",
        ),
        (
            {"provider": "openai", "model": "m", "inptu": 1},
            "price[0].inptu = 1: expected a unit's name (did you mean input?)",
        ),
        (
            {"provider": "openai", "model": "m", "discont": 0.1},
            "price[0].discont = 0.1: expected a rate or a key of a price (did you mean discount?)",
        ),
        ({"provider": "openai", "discount": 15}, "price[0].discount = 15: expected a fraction from 0 to 1"),
        ({"provider": "openai", "discount": True}, "price[0].discount = True: expected a fraction from 0 to 1"),
        ({"provider": "openai", "model": "m", "same_as": 4}, "price[0].same_as = 4: expected a model's name"),
        (
            {"provider": "openai", "model": "m", "input": 1, "from": "yesterday"},
            "price[0].from = 'yesterday': expected a date or a time with its offset",
        ),
        (
            {"provider": "openai", "model": "m", "input": 1, "from": datetime(2026, 1, 1)},  # noqa: DTZ001 the point
            "price[0].from = datetime.datetime(2026, 1, 1, 0, 0): expected a date or a time with its offset",
        ),
        (
            {"provider": "openai", "model": "m", "input": 1, "from": "2026-07-01", "until": "2026-07-01"},
            "price[0].until = '2026-07-01': expected a time after from (2026-07-01)",
        ),
    ],
)
def test_a_wrong_entry_is_refused_by_its_place_key_value_and_what_would_be_right(
    entry: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        read_overrides([entry], "outlay.toml")

    assert str(refused.value).startswith(f"outlay.toml: {message}")


def test_the_entry_that_is_wrong_is_the_one_that_is_named() -> None:
    good = {"provider": "openai", "model": "m", "input": 1}

    with pytest.raises(ConfigError) as refused:
        read_overrides([good, {**good, "input": "x"}], "outlay.toml")

    assert (refused.value.source, refused.value.key, refused.value.value) == ("outlay.toml", "price[1].input", "x")
