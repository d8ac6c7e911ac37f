"""`outlay alerts`: what fires, whether the rules are right, whether a channel works, and silences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from outlay_collector.cli import CommandError
from outlay_collector.cli.alert_output import group_text, show_alerts, show_history, show_silences
from outlay_collector.cli.connection import Api, DbOption, asking
from outlay_collector.cli.options import ConfigOption, read_length
from outlay_collector.cli.output import JsonOption, console, write_json
from outlay_collector.cli.sending import send_to
from outlay_collector.toml import read_entries

if TYPE_CHECKING:
    from outlay_alerts.measurements import Readers
    from outlay_alerts.rules import Rule

    from outlay_collector.settings import Settings

app = typer.Typer(add_completion=False, no_args_is_help=True)

_MOST_LOOKS: Final = 100_000


@app.command("list")
@asking
def list_alerts(
    api: Api,
    *,
    history: Annotated[bool, typer.Option("--history", help="What fired and was resolved, and who was told.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Every rule as it stands, what fires first."""
    document = api.get("/api/v1/alerts/history" if history else "/api/v1/alerts")
    if as_json:
        write_json(document)
    elif history:
        show_history(document["transitions"], console())
    else:
        show_alerts(document["alerts"], console())


@app.command()
def check(
    *,
    timeline: Annotated[
        Path | None, typer.Option("--timeline", help="Try the rules on the traffic written in this file instead.")
    ] = None,
    config: ConfigOption = None,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read the configuration, look at every rule once, and say what each finds. Stores nothing, tells nobody."""
    settings = _settings(config, db)
    if timeline is not None:
        _check_timelines(timeline, settings, as_json=as_json)
        return
    from outlay_alerts.evaluate import look

    from outlay_collector.api.alerts import alert_json

    now = datetime.now(UTC)
    with _reading(settings) as readers:
        alerts = [move.after for rule in _rules(settings) for move in look(rule, {}, (), readers, now) if move.after]
    document = [alert_json(alert) for alert in alerts]
    if as_json:
        write_json({"alerts": document})
    else:
        show_alerts(document, console())
    if any(alert["health"] == "error" for alert in document):
        raise typer.Exit(1)


def _check_timelines(file: Path, settings: Settings, *, as_json: bool) -> None:
    from outlay_alerts.duration import format_duration
    from outlay_alerts.timeline import read_timelines, run

    rules = _rules(settings)
    timelines = read_timelines(read_entries(file, "timeline"), rules, str(file))
    failures = [failure for each in timelines for failure in run(each, rules)]
    if as_json:
        write_json(
            {
                "timelines": len(timelines),
                "failures": [
                    {
                        "timeline": failure.timeline,
                        "at": format_duration(failure.expected.at),
                        "rule": failure.expected.rule,
                        "group": failure.expected.group,
                        "expected": failure.expected.state.value,
                        "found": failure.found.value,
                        "reason": failure.reason,
                    }
                    for failure in failures
                ],
            }
        )
    else:
        for failure in failures:
            expected = failure.expected
            where = (
                f"{failure.timeline}: at {format_duration(expected.at)} {expected.rule} {group_text(expected.group)}"
            )
            console().print(f"{where}: expected {expected.state}, found {failure.found}: {failure.reason}")
        console().print(f"{len(timelines)} timelines, {len(failures)} expectations not met")
    if failures:
        raise typer.Exit(1)


@app.command("test")
def send_test(
    channel: Annotated[str | None, typer.Argument(help="A channel's name; every channel if not given.")] = None,
    *,
    config: ConfigOption = None,
) -> None:
    """Send a test message, and say how the channel took it."""
    from outlay_alerts.message import test_message

    channels = _settings(config, None).channels
    wanted = [each for each in channels if channel is None or each.name == channel]
    if not wanted:
        known = ", ".join(each.name for each in channels) or "none: add a [[channel]] to outlay.toml"
        raise CommandError(f"there is no channel {channel!r}; configured: {known}" if channel else f"channels: {known}")
    send_to(wanted, lambda each: test_message(each.name))


@app.command()
def backtest(
    *,
    since: Annotated[str, typer.Option(help="How far back: 24h, 7d.")] = "24h",
    every: Annotated[str, typer.Option(help="How often the rules are looked at.")] = "1m",
    config: ConfigOption = None,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """What the configured rules would have fired on stored calls; not budgets and headroom: their past is not kept."""
    from outlay_alerts.evaluate import replay

    from outlay_collector.api.alerts import transition_json

    settings = _settings(config, db)
    step, length = read_length("--every", every), read_length("--since", since)
    looks = length // step if step else 0
    if not 0 < looks <= _MOST_LOOKS:
        raise CommandError(f"--since {since} --every {every} is {looks} looks: expected 1 to {_MOST_LOOKS:,}")
    end = datetime.now(UTC)
    rules = [rule for rule in _rules(settings) if rule.kind not in ("budget", "headroom")]
    with _reading(settings) as readers:
        found = list(replay(rules, readers, (end - step * n for n in range(looks, -1, -1))))
    document = [transition_json(transition, ()) for transition in found]
    if as_json:
        write_json({"transitions": document})
    else:
        console().print(f"{len(rules)} rules looked at {looks + 1} times")
        show_history(document, console())


@app.command()
@asking
def silence(
    api: Api,
    match: Annotated[
        list[str] | None, typer.Argument(help="What to hold back: rule=errors provider=openai. All must be so.")
    ] = None,
    *,
    length: Annotated[str, typer.Option("--for", help="For how long: 30m, 2h, 7d.")] = "2h",
    comment: Annotated[str, typer.Option(help="Why, for those who find it.")] = "",
    end: Annotated[int | None, typer.Option("--end", help="End the silence of this number.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Hold alerts back for a while. Without anything to match: what is silenced now."""
    if end is not None:
        api.request("DELETE", f"/api/v1/silences/{end}")
        document: dict[str, Any] = {"ended": end}
    elif match:
        body = {"match": _matched(match), "for": length, "comment": comment}
        document = {"silences": [api.request("POST", "/api/v1/silences", json=body)]}
    else:
        document = api.get("/api/v1/silences")
    if as_json:
        write_json(document)
    elif end is not None:
        console().print(f"Silence {end} has ended; what still fires is told of within seconds.")
    else:
        show_silences(document["silences"], console())


def _settings(config: Path | None, db: str | None) -> Settings:
    from outlay_collector.settings import Store, read_settings

    settings = read_settings(config)
    return settings if db is None else settings.model_copy(update={"store": Store(url=db)})


def _rules(settings: Settings) -> Sequence[Rule]:
    from outlay_alerts.defaults import default_rules

    return settings.rules or default_rules()


@contextmanager
def _reading(settings: Settings) -> Iterator[Readers]:
    """What rules read, from the settings' database. A `CommandError` where there is none: reading must not make one."""
    from outlay_collector.alerting import StoreReaders
    from outlay_collector.store.engine import is_missing, open_engine
    from outlay_collector.store.sql import SqlStore

    if is_missing(settings.store.url):
        shown = settings.store.shown_url
        raise CommandError(f"the configuration is right; {shown} is not there yet: `outlay up` makes it")
    engine = open_engine(settings.store.url)
    try:
        yield StoreReaders(SqlStore(engine), engine)
    finally:
        engine.dispose()


def _matched(texts: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise CommandError(f"{text!r}: expected a name and its value: rule=errors, provider=openai")
        if name.strip() in found:
            raise CommandError(f"{text!r}: expected each name once, as all must be so; make a silence for each value")
        found[name.strip()] = value
    return found
