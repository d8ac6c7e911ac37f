"""`outlay budgets`: how budgets stand, setting and removing them, and what new ones would have done."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from outlay.budgets.budget import TAG_PREFIX, Budget
from outlay.budgets.definition import read_budgets
from rich.console import Console

from outlay_collector.cli import CommandError
from outlay_collector.cli.connection import ApiKeyOption, DbOption, EndpointOption, connect
from outlay_collector.cli.output import JsonOption, console, count, money, table, write_json

app = typer.Typer(add_completion=False, no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The budget's name.", show_default=False)]
_HEADINGS = ("budget", "of", "period", "limit", "spent", "leased", "remaining", "resets at", "on limit", "state")
_NUMBERS = ("limit", "spent", "leased", "remaining")


@app.command("list")
def list_budgets(
    *,
    endpoint: EndpointOption = None,
    api_key: ApiKeyOption = None,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every budget and what stands against it."""
    with connect(endpoint, api_key, db) as api:
        document = api.get("/api/v1/budgets")
    if as_json:
        write_json(document)
    else:
        _show(document, console())


@app.command("set")
def set_budget(
    name: NameArgument,
    *,
    usd: Annotated[str | None, typer.Option(help="The limit in USD: 5.00")] = None,
    tokens: Annotated[int | None, typer.Option(help="The limit in tokens, input and output.")] = None,
    calls: Annotated[int | None, typer.Option(help="The limit in calls.")] = None,
    period: Annotated[str | None, typer.Option(help="hour, day, week, month, or 'rolling 24h'.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Whose days: Europe/Berlin.")] = None,
    match: Annotated[
        list[str] | None, typer.Option(help="Only these: feature=chat. The same dimension twice means either.")
    ] = None,
    per: Annotated[str | None, typer.Option(help="Dimensions that each have the limit, with commas: user")] = None,
    thresholds: Annotated[str | None, typer.Option(help="Shares of the limit to tell of, with commas: 0.5,0.8")] = None,
    on_limit: Annotated[str | None, typer.Option(help="block or alert.")] = None,
    when_unreachable: Annotated[str | None, typer.Option(help="open, closed or last_known.")] = None,
    unpriced: Annotated[str | None, typer.Option(help="Calls whose model has no price: pass or block.")] = None,
    endpoint: EndpointOption = None,
    api_key: ApiKeyOption = None,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set a budget. One that exists keeps what is not given, so that a limit is raised by naming it alone."""
    limits = {"usd": usd, "tokens": tokens, "calls": calls}
    limit = {unit: amount for unit, amount in limits.items() if amount is not None}
    if len(limit) > 1:
        raise CommandError("one limit at a time: --usd, --tokens or --calls")
    given = {
        "limit": limit or None,
        "period": period,
        "timezone": timezone,
        "match": None if match is None else _matched(match),
        "per": None if per is None else _listed(per),
        "thresholds": None if thresholds is None else _shares(thresholds),
        "on_limit": on_limit,
        "when_unreachable": when_unreachable,
        "unpriced": unpriced,
    }
    path = f"/api/v1/budgets/{quote(name, safe='')}"
    with connect(endpoint, api_key, db) as api:
        known = {each["name"]: each for each in api.get("/api/v1/budgets")["definitions"]}
        before = {key: value for key, value in known.get(name, {}).items() if key != "origin"}
        changes = {key: value for key, value in given.items() if value is not None}
        budget = api.request("PUT", path, json={**before, **changes})
    if as_json:
        write_json(budget)
    else:
        console().print(f"Budget {name} {'changed' if before else 'set'}. Applications keep it within ten seconds.")


@app.command("remove")
def remove_budget(
    name: NameArgument,
    *,
    endpoint: EndpointOption = None,
    api_key: ApiKeyOption = None,
    db: DbOption = None,
) -> None:
    """Remove a budget. What calls cost is not forgotten."""
    with connect(endpoint, api_key, db) as api:
        api.request("DELETE", f"/api/v1/budgets/{quote(name, safe='')}")
    console().print(f"Budget {name} removed. Applications stop keeping it within ten seconds.")


@app.command("simulate")
def simulate_budgets(
    *,
    config: Annotated[Path, typer.Option("--config", help="A file with [[budget]] entries.")],
    since: Annotated[int, typer.Option("--since-days", min=1, help="How many days to look back.")] = 30,
    endpoint: EndpointOption = None,
    api_key: ApiKeyOption = None,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """What budgets would have stopped of the calls that were made."""
    budgets = [budget.entry() for budget in _budgets_of(config)]
    with connect(endpoint, api_key, db) as api:
        asked = {"budgets": budgets, "since_s": since * 86_400}
        document = api.request("POST", "/api/v1/budgets/simulate", json=asked)
    if as_json:
        write_json(document)
        return
    screen = console()
    if not document["stopped"]:
        screen.print(f"Nothing since {document['from']} would have been stopped.")
        return
    headings = [("budget", False), ("of", False), ("calls stopped", True), ("their cost", True), ("first at", False)]
    rows = [
        [each["name"], _named(each["scope"]), count(each["calls"]), money(each["cost_usd"]), each["first_at"]]
        for each in document["stopped"]
    ]
    screen.print(table(headings, rows))


def _budgets_of(path: Path) -> tuple[Budget, ...]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CommandError(f"--config {path}: {error}") from None
    return read_budgets(document.get("budget", []), str(path))


def _named(scope: Mapping[str, str]) -> str:
    return ", ".join(f"{dimension}={value}" for dimension, value in scope.items())


def _show(document: Mapping[str, Any], screen: Console) -> None:
    if not document["definitions"]:
        screen.print("No budgets. Set one: outlay budgets set chat-daily --usd 5 --period day --match feature=chat")
        return
    rows = [
        [
            budget["name"],
            _named(budget["scope"]),
            budget["period"],
            *(_amount(budget, figure) for figure in _NUMBERS),
            budget["resets_at"] or "",
            budget["on_limit"],
            budget["state"],
        ]
        for budget in document["budgets"]
    ]
    screen.print(table([(heading, heading in _NUMBERS) for heading in _HEADINGS], rows))
    seen = {budget["name"] for budget in document["budgets"]}
    for each in document["definitions"]:
        if each["name"] not in seen:
            screen.print(f"{each['name']}: nothing spent yet by any {', '.join(each['per'])}")


def _amount(budget: Mapping[str, Any], figure: str) -> str:
    return money(budget[figure]) if budget["unit"] == "usd" else f"{count(budget[figure])} {budget['unit']}"


def _matched(texts: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in texts:
        dimension, equals, value = text.partition("=")
        if not equals:
            raise CommandError(
                f"--match {text!r}: expected a dimension and its value: feature=chat, {TAG_PREFIX}tier=free"
            )
        found.setdefault(dimension.strip(), []).append(value)
    return found


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _shares(text: str) -> list[float]:
    try:
        return [float(part) for part in _listed(text)]
    except ValueError:
        raise CommandError(f"--thresholds {text!r}: expected shares of the limit with commas: 0.5,0.8") from None
