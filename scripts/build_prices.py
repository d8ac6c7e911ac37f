"""Compiles the price book: genai-prices as installed, our overlay on top, into `outlay/prices/data/prices.json`.

    python scripts/build_prices.py [--check]

`--check` writes nothing and fails where the book is not what the sources say.

The overlay is the TOML files of `outlay/prices/data/overlay`. A `[[price]]` there is a dated price of its own: a model
that has one loses what genai-prices says of it. An `[[amend]]` adds rates to prices that are there already, or corrects
them. An `[[alias]]` gives a model names it is also called by. All name their source. The output is the same for the
same input: one line a model, so that a price change is one line of a diff.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from genai_prices_lists import compile_lists
from outlay.prices.entry import STANDARD, TIERS, RateTable, read_rates
from outlay.units import UNITS

DATA: Final = Path(__file__).parent.parent / "instrumentation" / "outlay" / "prices" / "data"
CHECKED: Final = "2026-11-20"
"""The day the book as a whole was last held against its sources."""
GENAI_PRICES: Final = f"genai-prices {version('genai-prices')} (2026-11-10)"
AUDIO_AS_TEXT: Final = {"input_audio": "input", "cache_read_audio": "cache_read"}
"""Gemini has one rate for "text, image, video and audio" where a model has none for audio alone."""
ENTRY_KEYS: Final = ("from", "until", "hours", "weekdays", "inferred")
FIRST: Final = ""
LAST: Final = "9999-12-31"
Series = tuple[tuple[int, Decimal], ...]

SAME_LISTS: Final = {"google-vertex": "google"}
"""Providers that share another's list: Vertex AI sells Gemini at the prices of the Gemini API."""


def main(arguments: Sequence[str]) -> int:
    text, book = compiled(), DATA / "prices.json"
    if "--check" in arguments:
        return int(book.read_text(encoding="utf-8") != text)
    book.write_text(text, encoding="utf-8")
    return 0


def compiled() -> str:
    """The book as it is written down."""
    lists = compile_lists()
    lists |= {name: {"same_as": owner, "models": []} for name, owner in SAME_LISTS.items()}
    overlays = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted((DATA / "overlay").glob("*.toml"))]
    for overlay in overlays:
        add_prices(lists, overlay)
    for overlay in overlays:
        amend_prices(lists, overlay)
        add_names(lists, overlay)
    for provider, raw in lists.items():
        for model in raw["models"]:
            for entry in model["prices"]:
                entry["rates"] = complete(provider, model["id"], entry["rates"])
    return as_text({"checked": CHECKED, "sources": index_sources(lists), "lists": dict(sorted(lists.items()))})


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


def complete(provider: str, model: str, flat: Mapping[str, str]) -> dict[str, str]:
    """A flat table with what its tiers leave out, so that nothing is left to fallbacks but what they are meant for.

    A unit that costs what its stand-in costs does so on every tier. One-hour cache writes keep their proportion to
    five-minute ones. What else a tier leaves out keeps its standard rate, as genai-prices has it and Google documents
    it; but a cached token of an OpenAI batch costs the batch's input.
    """
    table = read_rates(flat)
    tiers = {tier: dict(units) for tier, units in table.rates.items()}
    standard = tiers[STANDARD]
    if provider == "google" and model.startswith("gemini"):
        as_text = [(audio, text) for audio, text in AUDIO_AS_TEXT.items() if audio not in standard]
        for units in tiers.values():
            units |= {audio: units[text] for audio, text in as_text if text in units}
    for tier, units in tiers.items():
        for unit in standard.keys() - units.keys() if (provider, tier) != ("openai", "batch") else ():
            if UNITS[unit].falls_back_to and (series := series_on_tier(unit, units, standard)):
                units[unit] = series
    written = RateTable(tiers, table.regions).flat()
    return dict(sorted(written.items(), key=lambda rate: (tier_in(rate[0]), rate[0])))


def series_on_tier(unit: str, units: Mapping[str, Series], standard: Mapping[str, Series]) -> Series | None:
    """The rates of a unit that a tier leaves out, None where its stand-in's are meant."""
    stand_in = next((name for name in UNITS[unit].falls_back_to if name in standard and name in units), None)
    if stand_in is not None and standard[unit] == standard[stand_in]:
        return None
    if unit != "cache_write_1h" or stand_in != "cache_write":
        return standard[unit]
    factor = units[stand_in][0][1] / standard[stand_in][0][1]
    return tuple((threshold, (rate * factor).normalize()) for threshold, rate in standard[unit])


def tier_in(key: str) -> str:
    return next((tier for tier in TIERS if f"_{tier}" in key), STANDARD)


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


def as_text(book: Mapping[str, Any]) -> str:
    lines = ["{"]
    lines += [f"{dump(key)}:{dump(book[key])}," for key in book if key != "lists"]
    lines.append('"lists":{')
    lines.append(",\n".join(f"{dump(name)}:{write_list(raw)}" for name, raw in book["lists"].items()))
    lines.append("}}")
    return "\n".join(lines) + "\n"


def write_list(raw: Mapping[str, Any]) -> str:
    head: Iterable[str] = (f"{dump(key)}:{dump(raw[key])}," for key in raw if key != "models")
    return "{" + "".join(head) + '"models":[\n' + ",\n".join(map(dump, raw["models"])) + "\n]}"


def dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
