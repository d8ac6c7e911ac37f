"""`[[report]]`: what is sent to whom at the end of each day, week or month, and when that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from outlay.errors import ConfigError, nearest
from outlay_alerts.config import Channel, check_references, read_entries
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from outlay_collector.periods import from_ns, start_of, to_ns
from outlay_collector.store.query import DIMENSIONS, is_dimension


def _dimension(name: object) -> str:
    if isinstance(name, str) and is_dimension(name):
        return name
    raise ValueError(f"one of {', '.join(DIMENSIONS)} or tag.NAME{nearest(name, DIMENSIONS)}")


class Period(NamedTuple):
    """From its first nanosecond to the one after its last."""

    starts_at_ns: int
    ends_at_ns: int


class ScheduledReport(BaseModel):
    """One `[[report]]`. The description of a field is its line in docs/reports.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=100, description="What it is called in its title and in commands.")
    every: Literal["day", "week", "month"] = Field(description="Which periods it is about; weeks begin on Monday.")
    by: tuple[Annotated[str, BeforeValidator(_dimension)], ...] = Field(
        default=("provider", "model"), max_length=5, description="Dimensions: a line for each combination that spent."
    )
    channels: tuple[str, ...] | None = Field(
        default=None, description="Names of `[[channel]]` entries it is sent to. Left out: all of them."
    )
    timezone: str = Field(default="UTC", description="IANA time zone of its periods.")

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("an IANA time zone, such as Europe/Berlin") from None
        return name

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def last_period(self, now_ns: int) -> Period:
        """The one that ended last."""
        end = self._start(now_ns)
        return Period(self._start(end - 1), end)

    def next_end(self, now_ns: int) -> int:
        """When the present period is over."""
        start = from_ns(self._start(now_ns), self.zone)
        # A day of a change of clocks has 25 hours at most, a month 31 days and an hour.
        longest = {"day": timedelta(hours=26), "week": timedelta(days=7, hours=2), "month": timedelta(days=32)}
        return self._start(to_ns(start + longest[self.every]))

    def sent_to(self, channels: Iterable[Channel]) -> list[Channel]:
        return [channel for channel in channels if self.channels is None or channel.name in self.channels]

    def _start(self, at_ns: int) -> int:
        if self.every == "month":
            return start_of("month", at_ns, self.zone)
        day = start_of("day", at_ns, self.zone)
        if self.every == "day":
            return day
        # Noon of Monday is on Monday whatever the clocks do at midnight.
        monday = from_ns(day, self.zone).replace(hour=12) - timedelta(days=from_ns(day, self.zone).weekday())
        return start_of("day", to_ns(monday), self.zone)


def read_reports(entries: Sequence[Mapping[str, Any]], source: str) -> tuple[ScheduledReport, ...]:
    """The reports, in their order. Raises `ConfigError` for the first wrong key; their names are unique."""
    return read_entries(ScheduledReport, entries, source, "report")


def check_channels(reports: Sequence[ScheduledReport], channels: Sequence[Channel], source: str) -> None:
    """Raises `ConfigError` where a report names a channel there is not, or there is none to send it to."""
    check_references(reports, channels, source, "report")
    for index, report in enumerate(reports):
        if not (channels if report.channels is None else report.channels):
            raise ConfigError(source, f"report[{index}].channels", None, "at least one [[channel]] to send it to")
