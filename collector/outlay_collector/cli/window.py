"""Which time a report is about: `--from`, `--to` and `--timezone`, and what holds where they are not given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from outlay_collector.cli import CommandError
from outlay_collector.cli.options import spread

DEFAULT_DAYS: Final = 30

_FromOption = Annotated[
    str | None,
    typer.Option(
        "--from", help="First moment: 2026-11-01 or 2026-11-01T08:00:00Z; 30 days ago at midnight if not given."
    ),
]
_ToOption = Annotated[str | None, typer.Option("--to", help="The moment after the last; now if not given.")]
_TimezoneOption = Annotated[str, typer.Option("--timezone", help="Whose midnights: Europe/Berlin.")]


@dataclass(frozen=True, slots=True)
class Window:
    """Half open: `begin` belongs to it, `end` does not. Both aware."""

    begin: datetime
    end: datetime
    timezone: str

    @property
    def params(self) -> dict[str, str]:
        """As the API wants them."""
        return {"from": self.begin.isoformat(), "to": self.end.isoformat(), "timezone": self.timezone}

    def __str__(self) -> str:
        return f"{self.begin:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} ({self.timezone})"


def in_window(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options that say which time it is about, in place of its `period`."""

    def run(
        *given: Any,
        begin: _FromOption = None,
        end: _ToOption = None,
        timezone: _TimezoneOption = "UTC",
        **own: Any,
    ) -> None:
        command(*given, period=window(begin, end, timezone, datetime.now(UTC)), **own)

    return spread(run, command, "period")


def window(begin: str | None, end: str | None, timezone: str, now: datetime) -> Window:
    """The window those options mean at `now`. Raises `CommandError` for what is no time, no zone or no window."""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CommandError(f"--timezone {timezone!r}: expected a name such as UTC or Europe/Berlin") from None
    midnight = datetime.combine(now.astimezone(zone).date() - timedelta(days=DEFAULT_DAYS), time(), zone)
    found = Window(
        begin=midnight if begin is None else _moment("--from", begin, zone),
        end=now.astimezone(zone) if end is None else _moment("--to", end, zone),
        timezone=timezone,
    )
    if found.begin >= found.end:
        raise CommandError(f"--from {found.begin.isoformat()} is not before --to {found.end.isoformat()}")
    return found


def _moment(option: str, text: str, zone: ZoneInfo) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{option} {text!r}: expected a date such as 2026-11-01 or 2026-11-01T08:00:00Z") from None
    return (at.replace(tzinfo=zone) if at.tzinfo is None else at).astimezone(zone)
