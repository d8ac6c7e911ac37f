"""`outlay doctor`: what works here, what does not, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal

import typer
from outlay.errors import OutlayError
from outlay.prices import PriceBook
from outlay.sdks import SDKS

from outlay_collector.cli.connection import ApiKeyOption, DbOption, EndpointOption, connect
from outlay_collector.cli.options import ConfigOption
from outlay_collector.cli.output import JsonOption, console, count, money, table, write_json
from outlay_collector.cli.spend import read_spend
from outlay_collector.cli.window import window
from outlay_collector.dashboard_process import is_installed
from outlay_collector.settings import DEFAULT_FILE, read_settings

OLD_PRICES_DAYS: Final = 60
_ADVICE: Final = "docs/delivery.md says what each reason means; GET /api/v1/losses names the processes"

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `advice` is empty where there is nothing to do."""

    check: str
    state: Literal["ok", "warning", "failed"]
    found: str
    advice: str = ""


@app.command()
def doctor(
    *,
    config: ConfigOption = None,
    endpoint: EndpointOption = None,
    api_key: ApiKeyOption = None,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check this machine's set-up and say what to do. Exit code 1 where something has failed."""
    findings = [
        _configuration(config),
        _calls(endpoint, api_key, db),
        *_losses(endpoint, api_key, db),
        *_sdks(),
        _prices(),
        _dashboard(),
    ]
    if as_json:
        write_json([asdict(finding) for finding in findings])
    else:
        rows = [[finding.check, finding.state, finding.found, finding.advice] for finding in findings]
        console().print(table([(name, False) for name in ("check", "state", "found", "what to do")], rows))
    if any(finding.state == "failed" for finding in findings):
        raise typer.Exit(1)


def _configuration(config: Path | None) -> Finding:
    try:
        settings = read_settings(config)
    except OutlayError as error:
        return Finding("configuration", "failed", str(error), "correct that line")
    there = config or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    rules = "the default rules" if settings.rules is None else f"{len(settings.rules)} rules"
    found = f"{len(settings.budgets or ())} budgets, {rules}, {len(settings.channels)} channels"
    return Finding("configuration", "ok", f"{there or 'no outlay.toml here'}: {found}")


def _calls(endpoint: str | None, api_key: str | None, db: str | None) -> Finding:
    period = window(None, None, "UTC", datetime.now(UTC))
    try:
        with connect(endpoint, api_key, db) as api:
            api.request("GET", "/readyz")
            total = read_spend(api, period, ["provider"])["total"]
    except OutlayError as error:
        return Finding("collector", "failed", str(error))
    if not total["calls"]:
        advice = "add outlay.instrument() to an application, or see it with data: outlay demo"
        return Finding("collector", "warning", "ready, without a call in the last 30 days", advice)
    found = f"{count(total['calls'])} calls in the last 30 days, {money(total['cost_usd'])}"
    unpriced = total["unpriced_calls"]
    if unpriced:
        return Finding(
            "collector", "warning", f"{found} and {count(unpriced)} without a price", "outlay prices missing"
        )
    return Finding("collector", "ok", found)


def _losses(endpoint: str | None, api_key: str | None, db: str | None) -> Iterator[Finding]:
    """Calls that never came; nothing where the collector cannot be asked, which is a finding already."""
    period = window(None, None, "UTC", datetime.now(UTC))
    try:
        with connect(endpoint, api_key, db) as api:
            lost = api.request("GET", "/api/v1/losses", params={"from": period.begin.isoformat()})
    except OutlayError:
        return
    if not lost["calls"]:
        yield Finding("deliveries", "ok", "no client has lost a call in the last 30 days")
        return
    why = ", ".join(f"{reason} {count(calls)}" for reason, calls in lost["by_reason"].items())
    yield Finding("deliveries", "warning", f"{count(lost['calls'])} calls were lost by clients: {why}", _ADVICE)


def _sdks() -> Iterator[Finding]:
    """The SDKs beside this command; an application in another environment has its own."""
    for sdk in SDKS.values():
        try:
            yield Finding(f"SDK {sdk.name}", "ok", version(sdk.distribution))
        except PackageNotFoundError:
            yield Finding(f"SDK {sdk.name}", "ok", "not in this environment")


def _prices() -> Finding:
    book = PriceBook.bundled()
    age = (datetime.now(UTC).date() - book.checked).days
    if age > OLD_PRICES_DAYS:
        return Finding("prices", "warning", f"{book.description}, {age} days old", "pip install --upgrade outlay")
    return Finding("prices", "ok", book.description)


def _dashboard() -> Finding:
    if is_installed():
        return Finding("dashboard", "ok", version("outlay-dashboard"))
    return Finding("dashboard", "warning", "not installed", "pip install 'outlay-collector[dashboard]'")
