"""`outlay reprice`: history at the prices the book has now for the time of each call, and what that changes."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from outlay_collector.cli.connection import Api, asking
from outlay_collector.cli.output import JsonOption, console, count, money, table, write_json
from outlay_collector.cli.window import Window, in_window
from outlay_collector.toml import read_entries

app = typer.Typer(add_completion=False)


@app.command()
@asking
@in_window
def reprice(
    api: Api,
    *,
    period: Window,
    model: Annotated[str | None, typer.Option("--model", help="Only calls of this model, as it is stored.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    config: Annotated[
        Path | None, typer.Option("--config", help="An outlay.toml with the price entries to use; with --db.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Price stored calls again from their kept usage. The first cost of each call is kept beside the new one."""
    asked: dict[str, Any] = {
        "from": period.begin.isoformat(),
        "to": period.end.isoformat(),
        "model": model,
        "dry_run": dry_run,
    }
    if config is not None:
        asked["prices"] = price_entries(config)
    document = api.request("POST", "/api/v1/repricings", json=asked)
    if as_json:
        write_json(document)
    else:
        show(document, period, console())


def price_entries(config: Path) -> list[dict[str, Any]]:
    """The `[[price]]` entries of a file, their dates as text."""
    entries: list[dict[str, Any]] = orjson.loads(orjson.dumps(read_entries(config, "price")))
    return entries


def show(document: Mapping[str, Any], period: Window, screen: Console) -> None:
    """The groups that changed, and the whole."""
    columns = [
        *((name, False) for name in ("day", "provider", "model")),
        *((name, True) for name in ("calls", "changed", "before", "after")),
    ]
    rows = [
        [row["day"], row["provider"], row["model"] or "(none)", *figures(row)]
        for row in document["rows"]
        if row["changed"]
    ]
    if rows:
        screen.print(table(columns, rows, ["total", "", "", *figures(document)]))
    verb = "would change" if document["dry_run"] else "changed"
    screen.print(f"{count(document['changed'])} of {count(document['calls'])} calls from {period} {verb}.")


def figures(row: Mapping[str, Any]) -> list[str]:
    costs = [_cost(row[f"{when}_usd"], row[f"unpriced_{when}"]) for when in ("before", "after")]
    return [count(row["calls"]), count(row["changed"]), *costs]


def _cost(cost_usd: str, unpriced: int) -> str:
    if not unpriced:
        return money(cost_usd)
    return f"{money(cost_usd)} + {unpriced} unpriced" if Decimal(cost_usd) else f"{unpriced} unpriced"
