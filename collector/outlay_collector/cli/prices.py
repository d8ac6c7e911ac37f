"""`outlay prices`: what the price book holds, what calls it had no price for, and what changed between two days."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from outlay.errors import nearest
from outlay.prices import PriceBook, Unpriced
from outlay.prices.entry import Entry
from outlay.providers.registry import canonical_provider

from outlay_collector.cli import CommandError
from outlay_collector.cli.connection import Api, asking
from outlay_collector.cli.output import JsonOption, console, table, write_json
from outlay_collector.cli.price import configured_book
from outlay_collector.cli.window import Window, in_window

app = typer.Typer(add_completion=False, no_args_is_help=True)

ProviderOption = Annotated[str | None, typer.Option("--provider", help="Only this provider.")]
ModelOption = Annotated[str | None, typer.Option("--model", help="Only models whose id has this in it.")]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="An outlay.toml, whose price entries count as known.")
]

_SHOWN: Final = ("input", "cache_read", "output")
_TABLE: Final = re.compile(r"(?:^|[,;] )([A-Za-z][\w -]*?)(?= \d|[,;(]|$)")


@app.command("list")
def list_prices(
    provider: ProviderOption = None,
    model: ModelOption = None,
    at: Annotated[
        str | None, typer.Option("--at", help="The prices of this day, 2026-07-30; all there are if not.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """The prices in the book, with their dates and sources."""
    found = entries(PriceBook.bundled(), provider, model)
    if at:
        at_ns = _noon_ns(at, "--at")
        found = iter({name[:2]: name for name in found if name[2].period.holds(at_ns)}.values())
    rows = [entry_document(*each) for each in found]
    rows.sort(key=lambda row: (row["provider"], row["model"]))
    if as_json:
        write_json({"checked": PriceBook.bundled().checked.isoformat(), "prices": rows})
        return
    columns = [("provider", False), ("model", False), ("from", False), *((unit, True) for unit in _SHOWN)]
    cells = [
        [
            row["provider"],
            row["model"],
            row["from"] or "",
            *(row["rates"].get(unit, "") for unit in _SHOWN),
            tables_in(row["source"]),
        ]
        for row in rows
    ]
    if cells:
        console().print(table([*columns, ("source", False)], cells))
    console().print(f"{len(rows)} prices, USD per million tokens; all rates and the days of the sources with --json")


@app.command("missing")
@asking
@in_window
def list_missing(
    api: Api,
    *,
    period: Window,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The models that calls were made to and the book has no price for, most called first."""
    usage = api.get("/api/v1/usage", {**period.params, "group_by": "provider,model"})
    book = configured_book(config)
    at_ns = int(period.end.timestamp()) * 10**9
    unpriced = sorted((row for row in usage["rows"] if row["unpriced_calls"]), key=lambda row: -row["unpriced_calls"])
    rows = [
        {
            "provider": row["provider"],
            "model": row["model"],
            "unpriced_calls": row["unpriced_calls"],
            "reason": _reason(book, row["provider"], row["model"], at_ns),
        }
        for row in unpriced
    ]
    if as_json:
        write_json({"missing": rows})
        return
    if not rows:
        console().print(f"Every call from {period} has a price.")
        return
    columns = (("provider", False), ("model", False), ("calls", True), ("why", False))
    console().print(table(columns, [[str(row[name] or "(none)") for name in rows[0]] for row in rows]))


@app.command("diff")
def list_changes(
    begin: Annotated[str, typer.Option("--from", help="The first of two days: 2026-06-01.")],
    end: Annotated[str | None, typer.Option("--to", help="The other day; today if not given.")] = None,
    provider: ProviderOption = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """What changed in price between two days."""
    days = _noon_ns(begin, "--from"), _noon_ns(end or datetime.now(UTC).date().isoformat(), "--to")
    rows = list(changes(PriceBook.bundled(), days, provider, model))
    if as_json:
        write_json({"changes": rows})
        return
    if not rows:
        console().print("Nothing in the book changed between these days.")
        return
    columns = (("provider", False), ("model", False), ("rate", False), ("before", True), ("after", True))
    console().print(table(columns, [[str(row[name] or "-") for name, _ in columns] for row in rows]))


def entries(book: PriceBook, provider: str | None, model: str | None) -> Iterator[tuple[str, str, Entry]]:
    """Every dated price, as (provider, model id, entry), of one provider and of models with that in their id."""
    wanted = canonical_provider(provider) if provider else None
    if wanted is not None and not any(book.models(wanted)):
        known = nearest(provider, book.providers) or f": {', '.join(book.providers)}"
        raise CommandError(f"--provider {provider!r}: expected one that has a price list{known}")
    for name in book.providers if wanted is None else (wanted,):
        for listed in book.models(name):
            if model is None or model.lower() in listed.id:
                yield from ((name, listed.id, entry) for entry in listed.entries)


def entry_document(provider: str, model: str, entry: Entry) -> dict[str, Any]:
    """A dated price as JSON; `rates` is its flat table."""
    return {
        "provider": provider,
        "model": model,
        "id": entry.id,
        "from": entry.since,
        "source": entry.source,
        "rates": entry.table.flat(),
    }


def tables_in(source: str) -> str:
    """The names of the tables a source names, without versions and days: `genai-prices, LiteLLM`."""
    return ", ".join(dict.fromkeys(found.strip() for found in _TABLE.findall(source)))


def changes(
    book: PriceBook, days: tuple[int, int], provider: str | None, model: str | None
) -> Iterator[dict[str, Any]]:
    """Each rate that differs between two moments; None where a model had no such rate."""
    tables: dict[tuple[str, str], tuple[dict[str, str], dict[str, str]]] = {}
    for name, model_id, entry in entries(book, provider, model):
        for position, at_ns in enumerate(days):
            if entry.period.holds(at_ns):
                pair = tables.setdefault((name, model_id), ({}, {}))
                pair[position].clear()
                pair[position].update(entry.table.flat())
    for (name, model_id), (before, after) in tables.items():
        for rate in {**before, **after}:
            if before.get(rate) != after.get(rate):
                pair_document = {"before": before.get(rate), "after": after.get(rate)}
                yield {"provider": name, "model": model_id, "rate": rate, **pair_document}


def _reason(book: PriceBook, provider: str | None, model: str | None, at_ns: int) -> str:
    price = book.find(provider=provider or "", model=model, at_ns=at_ns)
    return (
        price.reason if isinstance(price, Unpriced) else "the book has a price: the usage could not be read or priced"
    )


def _noon_ns(day: str, option: str) -> int:
    """Noon of a day in nanoseconds UTC: the middle of the day, where no hourly price begins."""
    try:
        at = datetime.combine(date.fromisoformat(day), time(12), UTC)
    except ValueError:
        raise CommandError(f"{option} {day!r}: expected a day such as 2026-07-30") from None
    return int(at.timestamp()) * 10**9
