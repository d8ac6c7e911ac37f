"""Holds the price book against other public price tables and prints where they disagree, one JSON object a line.

    python scripts/compare_prices.py FOLDER

FOLDER has LiteLLM's model_prices_and_context_window.json, Langfuse's default-model-prices.json and Portkey's models.
Each is compared with the book as of its own date. What only one side gives is no disagreement. docs/prices.md has a
verdict for each line; `tests/prices/test_tables.py` keeps it so.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from outlay.lines import decimal_text
from outlay.model import Terms
from outlay.prices import Price, PriceBook
from outlay.prices.entry import TIERS

LITELLM_PROVIDERS: Final = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "mistral": "mistral",
    "xai": "xai",
    "deepseek": "deepseek",
    "groq": "groq",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "bedrock": "bedrock",
    "bedrock_converse": "bedrock",
}
LITELLM_RATES: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_audio_token": "output_audio",
    "output_cost_per_image_token": "output_image",
}
LITELLM_SUFFIX: Final = re.compile(r"_(?:above_(?P<thousands>\d+)k_tokens|(?P<tier>batches|flex|priority))$")
PORTKEY_PROVIDERS: Final = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "google",
    "mistral-ai": "mistral",
    "x-ai": "xai",
    "deepseek": "deepseek",
    "groq": "groq",
    "cohere": "cohere",
    "bedrock": "bedrock",
}
PORTKEY_RATES: Final = {
    "request_token": "input",
    "response_token": "output",
    "cache_read_input_token": "cache_read",
    "cache_write_input_token": "cache_write",
    "request_audio_token": "input_audio",
    "response_audio_token": "output_audio",
}
LANGFUSE_RATES: Final = {
    "input": "input",
    "output": "output",
    "input_cached_tokens": "cache_read",
    "input_cache_creation": "cache_write",
    "input_cache_creation_1h": "cache_write_1h",
    "input_audio_tokens": "input_audio",
    "output_audio_tokens": "output_audio",
}
LANGFUSE_OWNERS: Final = (("claude", "anthropic"), ("gemini", "google"), ("", "openai"))
PER_MILLION: Final = Decimal(1_000_000)
PER_MILLION_CENTS: Final = Decimal(10_000)
ROUNDING: Final = Decimal("0.0001")
"""Relative: tables keep floats, such as 5.9999999999e-7."""


class Rate(NamedTuple):
    """One rate of one table, in USD per million; `rate` is its key in the book's flat tables."""

    table: str
    provider: str
    model: str
    rate: str
    usd: Decimal


def litellm(folder: Path) -> Iterator[Rate]:
    for key, model in load(folder, "litellm-*.json").items():
        provider = LITELLM_PROVIDERS.get(model.get("litellm_provider"))
        if provider is None or key.startswith(("vertex_ai/", "ft:")) or re.search(r"^bedrock/|/.*-commitment/", key):
            continue
        name = key if provider in ("bedrock", "openai", "anthropic") else key.partition("/")[2] or key
        for field, value in model.items():
            if isinstance(value, int | float) and value and (rate := litellm_rate(field)):
                yield Rate("LiteLLM", provider, name, rate, Decimal(str(value)) * PER_MILLION)


def litellm_rate(field: str) -> str | None:
    suffixes = ""
    while field not in LITELLM_RATES and (found := LITELLM_SUFFIX.search(field)):
        field = field[: found.start()]
        tier = {"batches": "batch"}.get(found["tier"], found["tier"])
        suffixes = f"_{tier}{suffixes}" if tier else f"{suffixes}_above_{found['thousands']}000"
    return LITELLM_RATES[field] + suffixes if field in LITELLM_RATES else None


def portkey(folder: Path) -> Iterator[Rate]:
    for file, provider in PORTKEY_PROVIDERS.items():
        for name, model in load(folder, f"portkey-*/{file}.json").items():
            config = model.get("pricing_config") or {}
            for suffix, prices in (("", config.get("pay_as_you_go")), ("_batch", config.get("batch_config"))):
                for field, unit in PORTKEY_RATES.items():
                    if price := ((prices or {}).get(field) or {}).get("price"):
                        yield Rate("Portkey", provider, name, unit + suffix, Decimal(str(price)) * PER_MILLION_CENTS)


def langfuse(folder: Path) -> Iterator[Rate]:
    for model in load(folder, "langfuse-*.json"):
        name = model["modelName"]
        provider = next(owner for part, owner in LANGFUSE_OWNERS if part in name)
        for tier in model["pricingTiers"]:
            for field, unit in LANGFUSE_RATES.items():
                if tier["isDefault"] and tier["prices"].get(field):
                    yield Rate("Langfuse", provider, name, unit, Decimal(str(tier["prices"][field])) * PER_MILLION)


def load(folder: Path, pattern: str) -> Any:
    return json.loads(next(folder.glob(pattern)).read_text(encoding="utf-8"))


TABLES: Final = (
    (litellm, datetime(2026, 11, 20, 12, tzinfo=UTC)),
    (portkey, datetime(2026, 8, 20, 12, tzinfo=UTC)),
    (langfuse, datetime(2026, 8, 20, 12, tzinfo=UTC)),
)


def disagreements(book: PriceBook, folder: Path) -> Iterator[Mapping[str, str]]:
    for read, at in TABLES:
        for theirs in read(folder):
            ours = book_rate(book, theirs, at)
            if ours is not None and abs(ours - theirs.usd) > ROUNDING * max(ours, theirs.usd):
                found = {**theirs._asdict(), "usd": decimal_text(theirs.usd), "ours": decimal_text(ours)}
                yield found


def book_rate(book: PriceBook, rate: Rate, at: datetime) -> Decimal | None:
    """Our rate for the same thing, None where the book has none or would not call it the model's own."""
    name, _, above = rate.rate.partition("_above_")
    tier = next((tier for tier in TIERS if name.endswith(f"_{tier}")), "")
    price = book.find(
        provider=rate.provider,
        model=rate.model,
        at_ns=int(at.timestamp()) * 10**9,
        terms=Terms(batch=tier == "batch", service_tier=tier if tier and tier != "batch" else None),
        input_tokens=int(above) + 1 if above else 0,
    )
    return price.rates.get(name.removesuffix(f"_{tier}")) if isinstance(price, Price) and not price.inferred else None


if __name__ == "__main__":
    for line in disagreements(PriceBook.bundled(), Path(sys.argv[1])):
        print(json.dumps(line))
