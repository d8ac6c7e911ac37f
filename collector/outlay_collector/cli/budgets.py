"""`outlay budgets`: how budgets stand, setting, easing and removing them, and what new ones would have done."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from outlay.budgets.budget import Budget
from outlay.budgets.definition import read_budgets

from outlay_collector.cli import CommandError
from outlay_collector.cli.budget_output import limit_text, show_budget, show_budgets, show_simulation
from outlay_collector.cli.conditions import conditions
from outlay_collector.cli.connection import Api, asking
from outlay_collector.cli.options import read_length
from outlay_collector.cli.output import JsonOption, console, write_json
from outlay_collector.toml import read_entries

app = typer.Typer(add_completion=False, no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The budget's name.", show_default=False)]
_NOT_WRITTEN = ("origin", "easing")
_ASKED_FOR = ("model", "trace")
"""Dimensions of which budgets know another value than reports: the model asked for, the trace."""
_MOST_SPENDERS = 10
_EPOCH = "1970-01-01T00:00:00Z"
ForOption = Annotated[str | None, typer.Option("--for", help="For how long: 90m, 2h, 7d.", show_default=False)]
UsdOption = Annotated[str | None, typer.Option(help="The limit in USD: 5.00")]
TokensOption = Annotated[int | None, typer.Option(help="The limit in tokens, input and output.")]
CallsOption = Annotated[int | None, typer.Option(help="The limit in calls.")]
MatchOption = Annotated[
    list[str] | None, typer.Option(help="Only these: feature=chat. The same dimension twice means either.")
]
UncappedOption = Annotated[
    str | None, typer.Option(help="What is set aside for requests without a cap: maximum or p99.")
]


@app.command("list")
@asking
def list_budgets(api: Api, *, as_json: JsonOption = False) -> None:
    """Every budget and what stands against it."""
    document = api.get("/api/v1/budgets")
    if as_json:
        write_json(document)
    else:
        show_budgets(document, console())


@app.command("show")
@asking
def show_one(
    api: Api,
    name: NameArgument,
    *,
    by: Annotated[str, typer.Option("--by", help="Who spends, by these dimensions, with commas.")] = "feature,user",
    as_json: JsonOption = False,
) -> None:
    """One budget: what stands against it, who spends it, which processes hold it, and what it held back."""
    definition = api.get(_path(name))
    states = [each for each in api.get("/api/v1/budgets")["budgets"] if each["name"] == name]
    since = min((each["starts_at"] for each in states), default=None)
    document = {
        "definition": definition,
        "budgets": states,
        "spenders": [] if since is None else _spenders(api, definition, since, by),
        "holders": api.get(f"{_path(name)}/holders")["holders"],
        "refusals": api.get("/api/v1/refusals", {"budget": name, "limit": "10", "from": since or _EPOCH})["refusals"],
    }
    if as_json:
        write_json(document)
    else:
        show_budget(document, by.split(","), console())


@app.command("set")
@asking
def set_budget(
    api: Api,
    name: NameArgument,
    *,
    usd: UsdOption = None,
    tokens: TokensOption = None,
    calls: CallsOption = None,
    period: Annotated[str | None, typer.Option(help="hour, day, week, month, or 'rolling 24h'.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Whose days: Europe/Berlin.")] = None,
    match: MatchOption = None,
    per: Annotated[str | None, typer.Option(help="Dimensions that each have the limit, with commas: user")] = None,
    thresholds: Annotated[str | None, typer.Option(help="Shares of the limit to tell of, with commas: 0.5,0.8")] = None,
    on_limit: Annotated[str | None, typer.Option(help="block or alert.")] = None,
    when_unreachable: Annotated[str | None, typer.Option(help="open, closed or last_known.")] = None,
    unpriced: Annotated[str | None, typer.Option(help="Calls whose model has no price: pass or block.")] = None,
    uncapped: UncappedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set a budget. One that exists keeps what is not given, so that a limit is raised by naming it alone."""
    given = {
        "limit": _limit(usd, tokens, calls),
        "period": period,
        "timezone": timezone,
        "match": None if match is None else conditions(match, "--match"),
        "per": None if per is None else _listed(per),
        "thresholds": None if thresholds is None else _shares(thresholds),
        "on_limit": on_limit,
        "when_unreachable": when_unreachable,
        "unpriced": unpriced,
        "uncapped": uncapped,
    }
    known = {each["name"]: each for each in api.get("/api/v1/budgets")["definitions"]}
    before = {key: value for key, value in known.get(name, {}).items() if key not in _NOT_WRITTEN}
    changes = {key: value for key, value in given.items() if value is not None}
    budget = api.request("PUT", _path(name), json={**before, **changes})
    if as_json:
        write_json(budget)
    else:
        console().print(f"Budget {name} {'changed' if before else 'set'}. Applications keep it within ten seconds.")


@app.command("raise")
@asking
def raise_budget(
    api: Api,
    name: NameArgument,
    *,
    usd: UsdOption = None,
    tokens: TokensOption = None,
    calls: CallsOption = None,
    for_: ForOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a budget another limit for a while: till its period ends, if not said otherwise. Those of outlay.toml
    too."""
    limit = _limit(usd, tokens, calls)
    if limit is None:
        raise CommandError("expected the limit to hold: --usd, --tokens or --calls")
    eased = api.request("PUT", f"{_path(name)}/easing", json={"limit": limit, "for_s": _seconds("--for", for_)})
    _tell(eased, as_json, f"Budget {name} has a limit of {limit_text(eased['easing']['limit'])}")


@app.command("pause")
@asking
def pause_budget(api: Api, name: NameArgument, *, for_: ForOption = None, as_json: JsonOption = False) -> None:
    """Have a budget hold nothing back, until `outlay budgets resume`. It goes on counting and telling."""
    eased = api.request("PUT", f"{_path(name)}/easing", json={"for_s": _seconds("--for", for_)})
    _tell(eased, as_json, f"Budget {name} is paused")


@app.command("resume")
@asking
def resume_budget(api: Api, name: NameArgument, *, as_json: JsonOption = False) -> None:
    """End a pause or a raise: the definition holds again."""
    definition = api.request("DELETE", f"{_path(name)}/easing")
    _tell(definition, as_json, f"Budget {name} holds as it is defined")


@app.command("remove")
@asking
def remove_budget(api: Api, name: NameArgument) -> None:
    """Remove a budget. What calls cost is not forgotten."""
    api.request("DELETE", _path(name))
    console().print(f"Budget {name} removed. Applications stop keeping it within ten seconds.")


@app.command("simulate")
@asking
def simulate_budgets(
    api: Api,
    *,
    config: Annotated[Path, typer.Option("--config", help="A file with [[budget]] entries.")],
    since: Annotated[str, typer.Option("--since", help="How far to look back: 12h, 30d.")] = "30d",
    as_json: JsonOption = False,
) -> None:
    """What budgets would have stopped of the calls that were made."""
    budgets = [budget.entry() for budget in _budgets_of(config)]
    asked = {"budgets": budgets, "since_s": _seconds("--since", since)}
    document = api.request("POST", "/api/v1/budgets/simulate", json=asked)
    if as_json:
        write_json(document)
        return
    show_simulation(document, console())


def _path(name: str) -> str:
    return f"/api/v1/budgets/{quote(name, safe='')}"


def _limit(usd: str | None, tokens: int | None, calls: int | None) -> dict[str, str | int] | None:
    limits = {"usd": usd, "tokens": tokens, "calls": calls}
    given = {unit: amount for unit, amount in limits.items() if amount is not None}
    if len(given) > 1:
        raise CommandError("one limit at a time: --usd, --tokens or --calls")
    return given or None


def _seconds(option: str, text: str | None) -> int | None:
    return None if text is None else int(read_length(option, text).total_seconds())


def _spenders(api: Api, definition: Mapping[str, Any], since: str, by: str) -> list[dict[str, Any]]:
    """Who spent most since then of what the budget matches on, as far as the usage API knows its dimensions."""
    match = {name: values for name, values in definition["match"].items() if name not in _ASKED_FOR}
    rows = api.get("/api/v1/usage", {"from": since, "group_by": by, **match})["rows"]
    return sorted(rows, key=lambda row: Decimal(row["cost_usd"] or 0), reverse=True)[:_MOST_SPENDERS]


def _tell(definition: Mapping[str, Any], as_json: bool, done: str) -> None:
    if as_json:
        write_json(definition)
        return
    easing = definition["easing"]
    until = f" until {easing['until']}" if easing and easing["until"] else ""
    console().print(f"{done}{until}. Applications keep to it within ten seconds.")


def _budgets_of(path: Path) -> tuple[Budget, ...]:
    return read_budgets(read_entries(path, "budget"), str(path))


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _shares(text: str) -> list[float]:
    try:
        return [float(part) for part in _listed(text)]
    except ValueError:
        raise CommandError(f"--thresholds {text!r}: expected shares of the limit with commas: 0.5,0.8") from None
