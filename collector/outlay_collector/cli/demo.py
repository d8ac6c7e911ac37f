"""`outlay demo`: everything at once, with data and without a key.

A fake provider on loopback, the collector with its alerts and its dashboard, and a sample application between them that
calls the provider through the real SDKs. What it costs is what the provider says it used; nothing is made up on the
way but the time of the calls of the past.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Final

import outlay
import typer
from rich.console import Console
from rich.progress import Progress

from outlay_collector.app import create_app
from outlay_collector.cli import CommandError
from outlay_collector.cli.connection import connect
from outlay_collector.cli.house import House, house, stop_on_signal
from outlay_collector.cli.options import database_url
from outlay_collector.cli.output import JsonOption, console, write_json
from outlay_collector.cli.spend import read_spend, show_spend
from outlay_collector.cli.up import DASHBOARD_PORT, with_options
from outlay_collector.cli.window import window
from outlay_collector.dashboard_process import is_installed
from outlay_collector.demo import acts
from outlay_collector.demo.application import Application
from outlay_collector.demo.faults import Chances
from outlay_collector.demo.inbox import Inbox
from outlay_collector.demo.past import past
from outlay_collector.demo.provider import FakeProvider, UsageLog
from outlay_collector.demo.visits import Visit
from outlay_collector.serving import LOOPBACK, PortInUse, Server, listen
from outlay_collector.settings import Settings, read_settings

FOLDER: Final = Path(".outlay")
BUDGET: Final = "agent-daily"
ALERT_TIMEOUT_S: Final = 40.0
_SERVICE: Final = "assistant"
_CHANCES: Final = Chances(rate_limited=0.05, failed=0.05, first_byte_s=(0.05, 0.9))
_SENT_WITHIN_S: Final = 60.0

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    *,
    calls: Annotated[int, typer.Option("--calls", min=1, help="How many calls the past has.")] = 400,
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="How long that past is.")] = 30,
    once: Annotated[bool, typer.Option("--once", help="End when the data is in; no dashboard.")] = False,
    db: Annotated[
        str | None,
        typer.Option("--db", callback=database_url, help="The database; .outlay/demo.db, made anew, if not given."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="The same seed gives the same calls.")] = None,
    usage_log: Annotated[
        Path | None, typer.Option("--usage-log", help="Where the fake provider writes what it sent, as JSON lines.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """See it with data: a fake provider, a sample application, no key."""
    os.environ["no_proxy"] = "*"  # all it reaches is on this machine, by SDKs and a dashboard that cannot know it
    screen = Console(quiet=True) if as_json else console()
    chosen = secrets.randbelow(2**31) if seed is None else seed
    with stop_on_signal() as stopped, _stage(db or _fresh_database(), chosen, usage_log, once=once) as stage:
        stage.house.announce(screen, stage.settings)
        asyncio.run(_fill(stage, acts.past_visits(calls, days, datetime.now(UTC), chosen), screen, stopped))
        if stopped.is_set():
            return
        document = _show(stage, max(days, 30), screen)
        if as_json:
            write_json(document)
        if not once:
            _serve(stage, chosen, screen, stopped)


@dataclass(frozen=True, slots=True)
class _Stage:
    """All that runs: `provider_url` for the SDKs, `past_url` for calls that are to have been earlier."""

    settings: Settings
    house: House
    inbox: Inbox
    provider_url: str
    past_url: str

    def application(self) -> Application:
        return Application(f"{self.provider_url}/openai/v1", f"{self.provider_url}/anthropic")


def _fresh_database() -> str:
    FOLDER.mkdir(exist_ok=True)
    for name in ("demo.db", "demo.db-wal", "demo.db-shm"):
        (FOLDER / name).unlink(missing_ok=True)
    return f"sqlite:///{FOLDER / 'demo.db'}"


@contextmanager
def _stage(db: str, seed: int, usage_log: Path | None, *, once: bool) -> Iterator[_Stage]:
    provider = FakeProvider(seed=seed, chances=_CHANCES, log=UsageLog(usage_log))
    inbox = Inbox()
    with ExitStack() as stack:
        served = stack.enter_context(Server(provider.app, log_level="critical"))
        letters = stack.enter_context(Server(inbox.app))
        settings = _settings(db, f"{letters.url}/alerts")
        running = stack.enter_context(
            house(
                create_app(settings),
                port=0 if once else _free(settings.server.port),
                dashboard_port=None if once or not is_installed() else _free(DASHBOARD_PORT),
            )
        )
        gate = stack.enter_context(Server(past(running.url)))
        yield _Stage(settings, running, inbox, served.url, gate.url)


def _settings(db: str, inbox_url: str) -> Settings:
    configured = read_settings(Path(acts.__file__).with_name("outlay.toml"), {"OUTLAY_DEMO_INBOX": inbox_url})
    return with_options(configured, db=db)


def _free(port: int) -> int:
    """That port, or any where something listens on it already."""
    try:
        listen(LOOPBACK, port).close()
    except PortInUse:
        return 0
    return port


async def _fill(stage: _Stage, past_visits: list[Visit], screen: Console, stopped: threading.Event) -> None:
    """The past, then a day on which one tenant's budget runs out."""
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task(f"{len(past_visits)} visits to the sample application", total=len(past_visits))
        async with stage.application() as application:
            with _instrumented(stage.past_url):
                visits = takewhile(lambda _: not stopped.is_set(), past_visits)
                await acts.live_through(application, visits, lambda: progress.advance(task))
            if stopped.is_set():
                return
            _set_budget(stage.house.url)
            with _instrumented(stage.house.url):
                await acts.overspend(application)
        _say_outcomes(application, screen)


@contextmanager
def _instrumented(endpoint: str) -> Iterator[None]:
    """The sample application under Outlay; when the block ends all of its calls are in."""
    os.environ["OUTLAY_SPOOL_DIR"] = "off"  # what a demo leaves is nobody's bill
    outlay.instrument(endpoint=endpoint, service=_SERVICE, environment="demo")
    try:
        yield
        if not outlay.flush(_SENT_WITHIN_S):
            raise CommandError(f"the collector did not take all calls within {_SENT_WITHIN_S:.0f} s")
    finally:
        outlay.uninstrument()


def _set_budget(collector_url: str) -> None:
    """A hard limit of twenty cents a day for each tenant's agent: a handful of its visits."""
    entry: dict[str, Any] = {
        "limit": {"usd": 0.20},
        "period": "day",
        "match": {"feature": "agent"},
        "per": ["tenant"],
        "thresholds": [0.5],
        "on_limit": "block",
    }
    with connect(collector_url, None, None) as api:
        api.request("PUT", f"/api/v1/budgets/{BUDGET}", json=entry)


def _say_outcomes(application: Application, screen: Console) -> None:
    made = application.outcomes
    screen.print(f"{made['answered']} visits answered, {made['failed']} failed after a retry")
    if made["blocked"]:
        spent = f"budget {BUDGET} of tenant {acts.TENANT_OVER_BUDGET} is spent"
        screen.print(f"{made['blocked']} stopped before anything was sent: {spent}", soft_wrap=True)


def _show(stage: _Stage, days: int, screen: Console) -> dict[str, Any]:
    now = datetime.now(UTC)
    period = window(f"{now.date() - timedelta(days=days)}", None, "UTC", now)
    with connect(stage.house.url, None, None) as api:
        document = read_spend(api, period, ["provider", "model"])
        show_spend(document, period, screen)
        _show_alerts(stage.inbox, screen)
    return document


def _show_alerts(inbox: Inbox, screen: Console) -> None:
    """Waits for the alert of the budget to arrive at the inbox, as it would at a chat service."""
    inbox.wait_for("agent-budget (critical)", ALERT_TIMEOUT_S)  # other rules may fire before it
    for text in inbox.messages:
        title, *lines = (line for line in text.splitlines() if line)
        screen.print(f"Alert      {title.strip('*')}\n           {lines[0]}", soft_wrap=True)


def _serve(stage: _Stage, seed: int, screen: Console, stopped: threading.Event) -> None:
    """Goes on with quiet traffic until a signal comes."""
    stage.house.announce_dashboard(screen, stopped)
    screen.print("A visit every second or two from here on. Ctrl-C to stop.")
    traffic = threading.Thread(target=lambda: asyncio.run(_go_on(stage, seed, stopped)), name="application")
    traffic.start()
    stage.house.watch(screen, stopped)
    traffic.join()


async def _go_on(stage: _Stage, seed: int, stopped: threading.Event) -> None:
    with _instrumented(stage.house.url):
        async with stage.application() as application:
            await acts.go_on(application, seed, stopped)
