"""genai-prices as price lists of ours: its models, dated prices and variants, in our units and flat tables.

What it cannot say, or says otherwise than we read it, is not here but in the overlay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from genai_prices import types
from genai_prices.data_snapshot import get_snapshot

PROVIDERS: Final = {"aws": "bedrock", "x-ai": "xai", "moonshotai": "moonshot"}
"""Lists that go by another name with us."""

RATES: Final = {
    "input_mtok": ("input", 1),
    "output_mtok": ("output", 1),
    "cache_read_mtok": ("cache_read", 1),
    "cache_write_mtok": ("cache_write", 1),
    "cache_write_1h_mtok": ("cache_write_1h", 1),
    "input_audio_mtok": ("input_audio", 1),
    "input_image_mtok": ("input_image", 1),
    "input_video_mtok": ("input_video", 1),
    "output_audio_mtok": ("output_audio", 1),
    "output_image_mtok": ("output_image", 1),
    "cache_audio_read_mtok": ("cache_read_audio", 1),
    "cache_image_read_mtok": ("cache_read_image", 1),
    "output_reasoning_mtok": ("reasoning", 1),
    "web_searches_kcount": ("web_search", 1),
    "storage_searches_kcount": ("file_search", 1),
    "rerank_searches_kcount": ("rerank_search", 1),
    "requests_kcount": ("request", 1),
    "input_document_kpages": ("page", 1),
    "input_mchars": ("character", 1),
    "audio_hours": ("audio_second", 3600),
}
"""genai-prices' key to our unit, and what its rate is divided by to be per our `per`."""

UNCOUNTED: Final = frozenset(
    {
        "input_audio_hours",  # always beside an equal audio_hours
        "input_annotated_document_kpages",
        "input_text_messages_kcount",
        "output_video_mtok",
        "output_citation_mtok",
    }
)
"""Keys for what no reader of ours counts. A call that uses only these is priced without them."""

TIERS: Final = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("speed", "fast"): "fast",
}

PER_QUERY: Final = {("google", Decimal(14)), ("perplexity", Decimal(5))}
"""Searches billed by query rather than by call: Gemini from 3 on (before, $35 for 1,000 grounded prompts) and
Perplexity's deep research."""

FREE: Final = frozenset({"moderation", "gemma-3", "gemma-3n", "gemma-4-26b-a4b-it", "gemma-4-31b-it"})
"""Models without rates that are free by their provider's page, as all named `:free` are. The rest are unpriced."""

Rates = dict[str, list[tuple[int, Decimal]]]
"""Unit to its rate by threshold, as of one tier."""


def compile_lists() -> dict[str, Any]:
    """Every provider's list, by the name it has with us."""
    providers = {PROVIDERS.get(provider.id, provider.id): provider for provider in get_snapshot().providers}
    return {name: compile_list(name, provider) for name, provider in sorted(providers.items())}


def compile_list(name: str, provider: types.Provider) -> dict[str, Any]:
    models = [compiled for model in provider.models if (compiled := compile_model(name, model))]
    raw: dict[str, Any] = {"models": models}
    if provider.fallback_model_providers:
        raw["falls_back_to"] = [PROVIDERS.get(p, p) for p in provider.fallback_model_providers]
    return raw


def compile_model(provider: str, model: types.ModelInfo) -> dict[str, Any] | None:
    if model.id in FREE or model.id.endswith(":free"):
        prices = [{"rates": dict.fromkeys(("input", "output", "request"), "0")}]
    else:
        prices = [entry for entry in compile_prices(provider, model) if entry["rates"]]
    return {"id": model.id.lower(), "match": list(rules(model.match)), "prices": prices} if prices else None


def rules(logic: Any) -> Iterator[list[Any]]:
    match logic:
        case types.ClauseOr():
            for part in logic.or_:
                yield from rules(part)
        case types.ClauseAnd():
            yield ["&", [rule for part in logic.and_ for rule in rules(part)]]
        case types.ClauseEquals():
            yield ["=", logic.equals.lower()]
        case types.ClauseStartsWith():
            yield ["^", logic.starts_with.lower()]
        case types.ClauseEndsWith():
            yield ["$", logic.ends_with.lower()]
        case types.ClauseContains():
            yield ["*", logic.contains.lower()]
        case _:
            yield ["~", logic.regex]


def compile_prices(provider: str, model: types.ModelInfo) -> Iterator[dict[str, Any]]:
    """The entries of a model, oldest first, daily hours last: the last that holds is the price."""
    conditional = (
        model.prices if isinstance(model.prices, list) else [types.ConditionalPrice(None, prices=model.prices)]
    )
    dated = [c for c in conditional if not isinstance(c.constraint, types.TimeOfDateConstraint)]
    starts = [c.constraint.start_date if c.constraint else date.min for c in dated]  # type: ignore[union-attr] # no TimeOfDate left
    tiers = list(tier_periods(model, starts, [read(c.prices) for c in dated]))
    for start in sorted({*starts, *(start for _, start, _, _ in tiers)}):
        base = read(dated[max(i for i, s in enumerate(starts) if s <= start)].prices)
        tables: dict[str, Rates] = {"": base}
        for tier, since, until, rates in tiers:
            if since <= start < until:
                tables.setdefault(tier, {}).update({u: r for u, r in rates.items() if u not in tables.get(tier, {})})
        entry: dict[str, Any] = {} if start == date.min else {"from": start.isoformat()}
        yield {**entry, "rates": flatten(provider, tables)}
    for hours in conditional:
        if isinstance(hours.constraint, types.TimeOfDateConstraint):
            window = [f"{hours.constraint.start_time:%H:%M}", f"{hours.constraint.end_time:%H:%M}"]
            yield {"hours": [window], "rates": flatten(provider, {"": read(hours.prices)})}


def tier_periods(
    model: types.ModelInfo, starts: list[date], bases: list[Rates]
) -> Iterator[tuple[str, date, date, Rates]]:
    """The tier rates of a model and when they hold, as (tier, from, until, rates).

    genai-prices starts a tier's rates on the day somebody looked, not on the day they began to hold. Where the standard
    price stood unchanged up to that day the tier's did too: it opens backwards to the day the standard price began.
    Before that, with another standard price, only half price is carried back: that is the vendors' published rule for
    batch and flex, not a list price of its own.
    """
    for variant in model.price_variants or ():
        if len(variant.when) != 1 or (tier := TIERS.get(next(iter(variant.when.items())))) is None:
            continue
        rates = read(variant.prices)
        constraint = variant.constraint
        since = constraint.start_date if isinstance(constraint, types.StartDateConstraint) else date.min
        position = max(i for i, start in enumerate(starts) if start <= max(since, starts[0]))
        until = starts[position + 1] if since != date.min and position + 1 < len(starts) else date.max
        yield tier, starts[position] if since != date.min else since, until, rates
        if since == date.min or not is_half(rates, bases[position]):
            continue
        for earlier in range(position):
            halves = {u: [(t, r / 2) for t, r in bases[earlier][u]] for u in rates if u in bases[earlier]}
            yield tier, starts[earlier], starts[earlier + 1], halves


def is_half(rates: Rates, base: Rates) -> bool:
    return all(unit in base and [(t, r * 2) for t, r in series] == base[unit] for unit, series in rates.items())


def read(prices: types.ModelPrice) -> Rates:
    rates: Rates = {}
    for key, value in prices.__dict__.items():
        if value is None or key in UNCOUNTED:
            continue
        unit, divisor = RATES[key]
        base, tiers = (value.base, value.tiers) if isinstance(value, types.TieredPrices) else (value, [])
        steps = [(0, base), *((tier.start, tier.price) for tier in tiers)]
        rates[unit] = [(threshold, rate / divisor) for threshold, rate in steps]
    return rates


def flatten(provider: str, tables: Mapping[str, Rates]) -> dict[str, str]:
    """The flat table of `outlay.prices.entry`. A tier's rate that has no sizes is the same at each."""
    standard = tables[""]
    if "web_search" in standard and (provider, standard["web_search"][0][1]) in PER_QUERY:
        standard["web_search_query"] = standard.pop("web_search")
    for rates in tables.values():
        for unit, series in rates.items():
            if len(series) == 1 and unit in standard:
                rates[unit] = [(threshold, series[0][1]) for threshold, _ in standard[unit]]
    if tables.get("fast") == tables.get("priority"):
        tables = {tier: rates for tier, rates in tables.items() if tier != "fast"}
    return {
        "_".join(filter(None, (unit, tier, f"above_{threshold}" if threshold else ""))): text(rate)
        for tier, rates in tables.items()
        for unit, series in rates.items()
        for threshold, rate in series
    }


def text(rate: Decimal) -> str:
    return f"{rate.normalize():f}"
