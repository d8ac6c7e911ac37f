"""The data that ships: whole, reachable, built from what is pinned, with no great change nobody vouches for."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import outlay.prices
import pytest
from outlay.prices import PriceBook, Unpriced
from outlay.prices.match import Rule
from outlay.prices.pricelist import ListedModel

REPOSITORY = Path(__file__).parent.parent.parent
DATA = Path(outlay.prices.__file__).parent / "data" / "prices.json"
BOOK = PriceBook.bundled()
NOON = 1_781_524_800 * 10**9

LARGE_CHANGES = {
    "bedrock/regional.openai.gpt-5.6-luna": "OpenAI cut Luna by 80 % on 2026-07-30 (developers.openai.com changelog)",
    "mistral/mistral-medium-latest": "the alias moved from Medium 3 to Medium 3.5 on 2026-06-16",
    "openai/gpt-5.6-luna": "OpenAI cut Luna by 80 % on 2026-07-30 (developers.openai.com changelog)",
    "openai/o3": "OpenAI cut o3 by 80 % on 2025-06-10 (announced that day)",
}
"""Changes of more than three times between one entry of a model and the next, each with what vouches for it."""

MARKETS = {
    "baseten": "hosts open models and prices them by the market",
    "openrouter": "a market: its price is that of the cheapest seller of the day",
    "quicksilverpro": "resells at discounts of its own that come and go",
}
"""Lists whose great changes are what they are for."""

SHADOWED: dict[str, str] = {}
"""Entries no name reaches, each with the reason."""


def every_model() -> list[tuple[str, ListedModel]]:
    return [(provider, model) for provider in BOOK.providers for model in BOOK.models(provider)]


def names(rules: tuple[Rule, ...], model_id: str) -> list[str]:
    """Names that might mean this model: its id and what its rules say outright."""
    texts = [text for operator, text in rules if isinstance(text, str) and operator != "~"]
    return [model_id, *texts, *(f"x{text}x" for operator, text in rules if operator == "*"), f"x/{model_id}"]


def test_every_entry_is_reached_by_some_name() -> None:
    unreached = []
    for provider, model in every_model():
        prefix = f"{provider}/{model.id}"
        found = (BOOK.find(provider=provider, model=name, at_ns=NOON) for name in names(model.rules, model.id))
        ids = [entry.id for entry in model.entries]
        if not any(not isinstance(price, Unpriced) and price.id in ids for price in found):
            unreached.append(prefix)

    assert sorted(unreached) == sorted(SHADOWED)


def test_no_price_changes_by_more_than_three_times_without_a_note() -> None:
    large = set()
    for provider, model in every_model():
        dated = [entry for entry in model.entries if not entry.period.hours]
        for before, after in pairwise(dated):
            for unit in ("input", "output"):
                was, now = (Decimal(entry.table.flat().get(unit, "0")) for entry in (before, after))
                if provider not in MARKETS and was and now and max(was / now, now / was) > 3:
                    large.add(f"{provider}/{model.id}")

    assert large == LARGE_CHANGES.keys()


def test_entries_stand_in_the_order_they_begin() -> None:
    for provider, model in every_model():
        dated = [entry.period.from_ns for entry in model.entries if not entry.period.hours]
        assert dated == sorted(dated), f"{provider}/{model.id}"


@pytest.mark.parametrize(
    ("snapshot", "family"),
    [("gpt-4o-2024-05-13", "gpt-4o"), ("gpt-3.5-turbo-0613", "gpt-3.5-turbo"), ("gpt-3.5-turbo-1106", "gpt-3.5-turbo")],
)
def test_a_dated_snapshot_is_not_its_alias(snapshot: str, family: str) -> None:
    old, new = (BOOK.find(provider="openai", model=name, at_ns=NOON) for name in (snapshot, family))

    assert not isinstance(old, Unpriced)
    assert not isinstance(new, Unpriced)
    assert old.rates["input"] != new.rates["input"]


def test_every_entry_names_its_source_and_the_day_it_was_checked() -> None:
    for source in json.loads(DATA.read_bytes())["sources"]:
        assert source.count("(2026-") == source.count(";") + 1


def test_the_license_of_what_the_data_is_made_of_lies_beside_it() -> None:
    beside, root = (DATA.with_name("NOTICE").read_text("utf-8"), (REPOSITORY / "NOTICE").read_text("utf-8"))

    for owner in ("genai-prices", "litellm", "Portkey-AI", "langfuse"):
        assert owner in beside
    assert beside.partition("Permission")[2] == root.partition("Permission")[2] != ""


def test_the_data_is_built_from_the_genai_prices_that_is_pinned() -> None:
    assert json.loads(DATA.read_bytes())["sources"][0].startswith(f"genai-prices {version('genai-prices')} ")


def test_building_again_changes_nothing() -> None:
    """Nor does the test: whoever starts meanwhile reads the same book."""
    done = subprocess.run([sys.executable, REPOSITORY / "scripts" / "build_prices.py", "--check"], check=False)

    assert done.returncode == 0


def test_pricing_imports_neither_genai_prices_nor_pydantic() -> None:
    program = (
        "import sys; from outlay.prices import PriceBook;"
        "PriceBook.bundled().find(provider='openai', model='gpt-4o', at_ns=0);"
        "sys.exit(bool({'genai_prices', 'pydantic', 'httpx'} & set(sys.modules)))"
    )

    subprocess.run([sys.executable, "-c", program], check=True)
