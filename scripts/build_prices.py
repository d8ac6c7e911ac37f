"""Compiles the price book: genai-prices as installed, our overlay on top, into `outlay/prices/data/prices.json`.

    python scripts/build_prices.py

The overlay is the TOML files of `outlay/prices/data/overlay`. A `[[price]]` there is a dated price of its own: a model
that has one loses what genai-prices says of it. An `[[amend]]` adds rates to prices that are there already, or corrects
them. An `[[alias]]` gives a model names it is also called by. All name their source. The output is the same for the
same input: one line a model, so that a price change is one line of a diff.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from genai_prices import types
from genai_prices.data_snapshot import get_snapshot
from outlay.prices.entry import read_rates
from outlay.units import UNITS

DATA: Final = Path(__file__).parent.parent / "instrumentation" / "outlay" / "prices" / "data"
CHECKED: Final = "2026-11-20"
"""The day the book as a whole was last held against its sources."""
GENAI_PRICES: Final = f"genai-prices {version('genai-prices')} (2026-11-10)"
ENTRY_KEYS: Final = ("from", "until", "hours", "weekdays", "inferred")
FIRST: Final = ""
LAST: Final = "9999-12-31"

PROVIDERS: Final = {"aws": "bedrock", "x-ai": "xai", "moonshotai": "moonshot"}
"""Lists that go by another name with us."""

SAME_LISTS: Final = {"google-vertex": "google"}
"""Providers that share another's list: Vertex AI sells Gemini at the prices of the Gemini API."""

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

AS_TEXT: Final = {"input_audio": "input", "cache_read_audio": "cache_read"}
AUDIO_AS_TEXT: Final = frozenset({"google"})
"""Providers that quote one rate for "text, image, video and audio" where a model has no rate for audio alone."""

PER_QUERY: Final = {("google", Decimal(14)), ("perplexity", Decimal(5))}
"""Searches billed by query rather than by call: Gemini from 3 on (before, $35 for 1,000 grounded prompts) and
Perplexity's deep research."""

FREE: Final = frozenset({"moderation", "gemma-3", "gemma-3n", "gemma-4-26b-a4b-it", "gemma-4-31b-it"})
"""Models without rates that are free by their provider's page, as all named `:free` are. The rest are unpriced."""

Rates = dict[str, list[tuple[int, Decimal]]]
"""Unit to its rate by threshold, as of one tier."""


def main() -> None:
    providers = {PROVIDERS.get(p.id, p.id): p for p in get_snapshot().providers}
    lists = {name: compile_list(name, provider) for name, provider in sorted(providers.items())}
    lists |= {name: {"same_as": owner, "models": []} for name, owner in SAME_LISTS.items()}
    overlays = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted((DATA / "overlay").glob("*.toml"))]
    for overlay in overlays:
        add_prices(lists, overlay)
    for overlay in overlays:
        amend_prices(lists, overlay)
        add_names(lists, overlay)
    for raw in lists.values():
        for model in raw["models"]:
            for entry in model["prices"]:
                read_rates(entry["rates"])
    write({"checked": CHECKED, "sources": index_sources(lists), "lists": lists})


def compile_list(name: str, provider: types.Provider) -> dict[str, Any]:
    models = [compiled for model in provider.models if (compiled := compile_model(name, model))]
    raw: dict[str, Any] = {"models": models}
    if provider.fallback_model_providers:
        raw["falls_back_to"] = [PROVIDERS.get(p, p) for p in provider.fallback_model_providers]
    return raw


def compile_model(provider: str, model: types.ModelInfo) -> dict[str, Any] | None:
    if model.id in FREE or model.id.endswith(":free"):
        prices = [{"rates": dict.fromkeys(("input", "output"), "0")}]
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
    """The flat table of `outlay.prices.entry`, with nothing left to its fallbacks but what they are meant for."""
    standard = tables[""]
    if "web_search" in standard and (provider, standard["web_search"][0][1]) in PER_QUERY:
        standard["web_search_query"] = standard.pop("web_search")
    for tier, rates in tables.items():
        if tier:
            complete_tier(provider, tier, rates, standard)
    if provider in AUDIO_AS_TEXT and "input" in standard and "input_audio" not in standard:
        for rates in tables.values():
            rates.update({audio: rates[text] for audio, text in AS_TEXT.items() if text in rates})
    if tables.get("fast") == tables.get("priority"):
        tables = {tier: rates for tier, rates in tables.items() if tier != "fast"}
    return {
        "_".join(filter(None, (unit, tier, f"above_{threshold}" if threshold else ""))): text(rate)
        for tier, rates in sorted(tables.items())
        for unit, series in sorted(rates.items())
        for threshold, rate in series
    }


def complete_tier(provider: str, tier: str, rates: Rates, standard: Rates) -> None:
    """What a tier leaves out keeps its standard rate; but a cached token of an OpenAI batch costs the batch's input."""
    for unit in standard:
        if UNITS[unit].falls_back_to and unit not in rates and not (provider == "openai" and tier == "batch"):
            rates[unit] = standard[unit]
    for unit, series in rates.items():
        if len(series) == 1 and unit in standard:
            rates[unit] = [(threshold, series[0][1]) for threshold, _ in standard[unit]]


def add_prices(lists: dict[str, Any], overlay: Mapping[str, Any]) -> None:
    """Puts an overlay's `[[price]]` entries first in their lists."""
    own: dict[tuple[str, str], dict[str, Any]] = {}
    for table in overlay.get("price", ()):
        key = table["provider"], table["id"]
        if key not in own:
            models = lists.setdefault(table["provider"], {"models": []})["models"]
            theirs = next((model for model in models if model["id"] == table["id"]), None)
            names = [as_rule(name) for name in table["names"]] if "names" in table else theirs and theirs["match"]
            own[key] = {"id": table["id"], "match": names or [["=", table["id"]]], "prices": []}
            models[:] = [own[key], *(model for model in models if model is not theirs)]
        entry = {key: text_of(table[key]) for key in ENTRY_KEYS if key in table}
        own[key]["prices"].append({**entry, "rates": rates_of(table), "source": source_of(table)})


def add_names(lists: Mapping[str, Any], overlay: Mapping[str, Any]) -> None:
    """Gives an overlay's `[[alias]]` names to their model, and takes them from any other of its list."""
    for table in overlay.get("alias", ()):
        names = [["=", name] for name in table["names"]]
        for model in lists[table["provider"]]["models"]:
            model["match"] = [rule for rule in model["match"] if rule not in names]
        find_model(lists, table["provider"], table["of"])["match"] += names


def find_model(lists: Mapping[str, Any], provider: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(model for model in lists[provider]["models"] if model["id"] == name)
    return found


def as_rule(name: str) -> list[str]:
    """`ft:gpt-4.1*` is all that starts so; without the star a name is itself."""
    return ["^", name[:-1]] if name.endswith("*") else ["=", name]


def amend_prices(lists: Mapping[str, Any], overlay: Mapping[str, Any]) -> None:
    """Lays an overlay's `[[amend]]` rates over the entries of the models they name, within their dates."""
    for table in overlay.get("amend", ()):
        for name in table["models"]:
            model = find_model(lists, table["provider"], name)
            ends = [entry.get("from", LAST) for entry in model["prices"][1:]] + [LAST]
            model["prices"] = [
                piece for entry, end in zip(model["prices"], ends, strict=True) for piece in amended(entry, end, table)
            ]


def amended(entry: dict[str, Any], end: str, table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """An entry that holds until `end`, cut where the amendment begins and ends. Dates are text, and sort as such."""
    since, until = text_of(table.get("from", FIRST)), text_of(table.get("until", LAST))
    cuts = sorted({entry.get("from", FIRST), *(cut for cut in (since, until) if entry.get("from", FIRST) < cut < end)})
    for start in cuts if "hours" not in entry else [FIRST]:
        piece = {**entry, "from": start} if start != FIRST else dict(entry)
        if since <= start < until:
            source = "; ".join(dict.fromkeys((entry.get("source", GENAI_PRICES), source_of(table))))
            piece |= {"rates": {**entry["rates"], **rates_of(table)}, "source": source}
        yield piece


def rates_of(table: Mapping[str, Any]) -> dict[str, str]:
    return {unit: str(rate) for unit, rate in table["rates"].items()}


def source_of(table: Mapping[str, Any]) -> str:
    return f"{table['source']} ({text_of(table['checked'])})"


def index_sources(lists: Mapping[str, Any]) -> list[str]:
    """Every source, genai-prices first; entries refer to them by position, those of genai-prices not at all."""
    entries = [entry for raw in lists.values() for model in raw["models"] for entry in model["prices"]]
    sources = [GENAI_PRICES, *sorted({entry["source"] for entry in entries if "source" in entry} - {GENAI_PRICES})]
    for entry in entries:
        if "source" in entry:
            entry["source"] = sources.index(entry["source"])
    return sources


def text_of(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def text(rate: Decimal) -> str:
    return f"{rate.normalize():f}"


def write(book: Mapping[str, Any]) -> None:
    lines = ["{"]
    lines += [f"{dump(key)}:{dump(book[key])}," for key in book if key != "lists"]
    lines.append('"lists":{')
    lines.append(",\n".join(f"{dump(name)}:{write_list(raw)}" for name, raw in book["lists"].items()))
    lines.append("}}")
    DATA.mkdir(exist_ok=True)
    (DATA / "prices.json").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_list(raw: Mapping[str, Any]) -> str:
    head: Iterable[str] = (f"{dump(key)}:{dump(raw[key])}," for key in raw if key != "models")
    return "{" + "".join(head) + '"models":[\n' + ",\n".join(map(dump, raw["models"])) + "\n]}"


def dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


if __name__ == "__main__":
    main()
