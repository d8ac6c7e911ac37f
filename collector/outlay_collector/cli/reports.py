"""`outlay reports`: what is sent regularly, what became of it, and one sent by hand."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from outlay_collector.cli import CommandError
from outlay_collector.cli.db import DbOption, open_database
from outlay_collector.cli.options import ConfigOption
from outlay_collector.cli.output import JsonOption, console, table, write_json
from outlay_collector.cli.sending import send_to
from outlay_collector.periods import rfc3339
from outlay_collector.reporting import letter
from outlay_collector.reports.schedule import ScheduledReport
from outlay_collector.settings import read_settings
from outlay_collector.store.engine import reading
from outlay_collector.store.report_sends import last_sends
from outlay_collector.store.sql import SqlStore

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command("list")
def list_reports(*, config: ConfigOption = None, db: DbOption = None, as_json: JsonOption = False) -> None:
    """The configured reports, when each is due, and what became of the last ones."""
    settings = read_settings(config)
    with open_database(db or settings.store.url) as engine, reading(engine) as connection:
        now_ns = time.time_ns()
        found = [_report_json(connection, report, now_ns) for report in settings.reports]
    if as_json:
        write_json({"reports": found})
        return
    headings = ("name", "every", "by", "next", "last")
    rows = [
        (each["name"], each["every"], ",".join(each["by"]), each["next_at"], _last(each["sends"])) for each in found
    ]
    console().print(table([(heading, False) for heading in headings], rows))


@app.command()
def send(
    name: Annotated[str, typer.Argument(help="A report's name.", show_default=False)],
    *,
    config: ConfigOption = None,
    db: DbOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print it, and send nothing.")] = False,
) -> None:
    """Send the last period of a report now, whether or not it was sent before."""
    settings = read_settings(config)
    report = next((each for each in settings.reports if each.name == name), None)
    if report is None:
        known = ", ".join(each.name for each in settings.reports) or "none: add a [[report]] to outlay.toml"
        raise CommandError(f"there is no report {name!r}; configured: {known}")
    with open_database(db or settings.store.url) as engine:
        message = letter(SqlStore(engine), report, report.last_period(time.time_ns()))
    if dry_run:
        console().print(f"{message.title}\n\n{message.body}", soft_wrap=True)
    else:
        send_to(report.sent_to(settings.channels), lambda _: message)


def _report_json(connection: Connection, report: ScheduledReport, now_ns: int) -> dict[str, Any]:
    return {
        "name": report.name,
        "every": report.every,
        "by": list(report.by),
        "timezone": report.timezone,
        "channels": None if report.channels is None else list(report.channels),
        "next_at": rfc3339(report.next_end(now_ns), report.zone),
        "sends": [
            {
                "channel": row.channel,
                "starts_at": rfc3339(row.starts_at_ns, report.zone),
                "status": row.status,
                "attempts": row.attempts,
                "at": rfc3339(row.at_ns),
                "error": row.error,
            }
            for row in last_sends(connection, report.name)
        ],
    }


def _last(sends: list[dict[str, Any]]) -> str:
    latest = [each for each in sends if each["starts_at"] == sends[0]["starts_at"]]
    return ", ".join(f"{each['channel']} {each['status']}" for each in latest) or "-"
