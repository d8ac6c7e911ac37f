"""`outlay spend`: who spent what, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from outlay_collector.cli.conditions import WhereOption, conditions
from outlay_collector.cli.connection import Api, asking
from outlay_collector.cli.output import JsonOption, console, count, decimals, money, table, write_json
from outlay_collector.cli.window import Window, in_window

app = typer.Typer(add_completion=False)

ByOption = Annotated[str, typer.Option("--by", help="Dimensions, with commas: model,feature,tag.tier")]

_COUNTS: Final = ("calls", "errors", "retries", "input_tokens", "output_tokens", "cache_read_tokens")


@app.command()
@asking
@in_window
def spend(
    api: Api,
    *,
    by: ByOption = "provider,model",
    period: Window,
    where: WhereOption = None,
    as_json: JsonOption = False,
) -> None:
    """A table of spend."""
    document = read_spend(api, period, by.split(","), conditions(where))
    if as_json:
        write_json(document)
    else:
        show_spend(document, period, console())


def read_spend(
    api: Api, period: Window, by: Sequence[str], where: Mapping[str, list[str]] | None = None
) -> dict[str, Any]:
    """The API's usage of that period, dearest row first, with a `total` beside the rows."""
    dimensions = ",".join(name.strip() for name in by)
    document: dict[str, Any] = api.get("/api/v1/usage", {**period.params, "group_by": dimensions, **(where or {})})
    rows = sorted(document["rows"], key=lambda row: Decimal(row["cost_usd"] or 0), reverse=True)
    return {**document, "rows": rows, "total": _total(rows)}


def _total(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sums over the rows; `cost_usd` is null where nothing has a price, and leaves out `unpriced_calls`."""
    costs = [Decimal(row["cost_usd"]) for row in rows if row["cost_usd"] is not None]
    counts = {name: _sum(row[name] for row in rows) for name in (*_COUNTS, "unpriced_calls")}
    return {**counts, "cost_usd": f"{sum(costs, Decimal()):f}" if costs else None}


def show_spend(document: Mapping[str, Any], period: Window, screen: Console) -> None:
    """The table, its window above it and what it cannot know below."""
    screen.print(f"Spend from {period}")
    if not document["rows"]:
        screen.print(
            "No calls in that time. Add outlay.instrument() to an application, or see it with data: outlay demo"
        )
        return
    dimensions = document["group_by"]
    columns = [
        *((name, False) for name in dimensions),
        *((name.replace("_", " "), True) for name in _COUNTS),
        ("cost", True),
    ]
    total = document["total"]
    places = max(2, *(decimals(row["cost_usd"]) for row in document["rows"]))
    rows = [[*(_named(row[name]) for name in dimensions), *_figures(row, places)] for row in document["rows"]]
    footer = ["total", *[""] * (len(dimensions) - 1), *_figures(total, places)] if dimensions else None
    screen.print(table(columns, rows, footer))
    unpriced = total["unpriced_calls"]
    if unpriced:
        calls = "call" if unpriced == 1 else "calls"
        screen.print(f"{money(total['cost_usd'])} and {count(unpriced)} {calls} without a price: outlay prices missing")


def _figures(row: Mapping[str, Any], places: int) -> list[str]:
    unpriced = row["unpriced_calls"]
    cost = money(row["cost_usd"], places)
    return [*(count(row[name]) for name in _COUNTS), f"{cost} + {unpriced} unpriced" if unpriced else cost]


def _named(value: str | None) -> str:
    return "(none)" if value is None else value


def _sum(values: Any) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
