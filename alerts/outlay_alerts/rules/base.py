"""What every rule has, and the two shapes most of them take.

A rule is its settings and one pure decision, `judge`: what it reads and what time it is are arguments, so it decides
the same in the collector, in a backtest and in a user's own test. Its class is the table of its keys: a field is a key
of `[[rule]]`, the field's default the default, its description the line in docs/alerts.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from outlay_alerts.duration import Duration, format_duration
from outlay_alerts.measurements import Group, Measurement, Readers, Window
from outlay_alerts.rules.keys import AtLeastOne, Dimension, For, Length, Values
from outlay_alerts.verdict import Outcome, Severity, Unit, Verdict, count, format_figure, format_group


class Rule(BaseModel, ABC):
    """The keys all kinds have. `kind` itself chooses the class."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str]
    advice: ClassVar[str]
    """What to do when it fires: the last line of its message, unless the rule has a `runbook`."""

    name: str = Field(min_length=1, max_length=100, description="What it is called in messages, the API and silences.")
    severity: Severity = Field(default=Severity.WARNING, description="`info`, `warning` or `critical`.")
    channels: tuple[str, ...] | None = Field(
        default=None, description="Names of `[[channel]]` entries that are told. Left out: all of them. `[]`: none."
    )
    for_: For = timedelta(0)
    keep_firing_for: Duration = Field(
        default=timedelta(0), description="How long it must be well again before it is resolved."
    )
    repeat: Length = Field(default=timedelta(hours=4), description="How often a firing rule is told of again.")
    no_data_after: Duration = Field(
        default=timedelta(hours=1),
        description="A firing rule that has had nothing to judge by for this long is resolved, saying so.",
    )
    runbook: str | None = Field(
        default=None, description="What to do when it fires, a sentence or a link, for the message."
    )

    @abstractmethod
    def judge(self, readers: Readers, now: datetime) -> Sequence[Verdict]:
        """At most one verdict a group. Pure; raises only what the readers raise."""

    def absent(self, group: Group) -> Verdict:
        """The verdict on a group `judge` did not mention, or on everything where it mentioned none."""
        return self.unknown(group, f"there is nothing to judge{suffix(group)}", "ratio")

    def unknown(self, group: Group, reason: str, unit: Unit) -> Verdict:
        return Verdict(group=group, outcome=Outcome.UNKNOWN, severity=self.severity, reason=reason, unit=unit)

    def failed(self, group: Group, error: Exception) -> Verdict:
        """The verdict on a group when `judge` raised. A database puts its statement below the first line."""
        cause = f"{type(error).__name__}: {error}".partition("\n")[0]
        return Verdict(
            group=group,
            outcome=Outcome.FAILED,
            severity=self.severity,
            reason=f"the rule could not be evaluated: {cause}",
            unit="ratio",
        )


class TrafficRule(Rule):
    """A rule over the calls of the last so long, each group by itself."""

    quantity: ClassVar[str]
    """What is measured, in words."""
    unit: ClassVar[Unit]

    window: Length = Field(
        default=timedelta(minutes=5), description="Calls that started this long ago or later are judged."
    )
    group_by: tuple[Dimension, ...] = Field(
        default=(), description="Each combination of these dimensions is judged, and fires, by itself."
    )
    match: dict[Dimension, Values] = Field(
        default={}, description="Only calls with these values are judged; a list means any of them."
    )
    min_calls: AtLeastOne = Field(default=1, description="With fewer calls than this in the window nothing is judged.")

    @property
    def span(self) -> str:
        """The window in words."""
        return f"in the last {format_duration(self.window)}"

    @property
    def subject(self) -> str:
        """The first words of every reason."""
        return self.quantity

    def absent(self, group: Group) -> Verdict:
        return self.unknown(group, f"no calls {self.span}{suffix(group)}", self.unit)

    def too_few(self, measured: Measurement) -> Verdict:
        seen = f"{count(measured.calls, 'call')} {self.span}{suffix(measured.group)}"
        return self.unknown(measured.group, f"{self.subject} unknown: {seen}, {self.min_calls} are needed", self.unit)

    def over(self, measured: Measurement, value: Decimal, threshold: Decimal) -> Verdict:
        """Breached strictly above the threshold."""
        breached = value > threshold
        return self._compared(measured, value, threshold, breached, "over" if breached else "within")

    def under(self, measured: Measurement, value: Decimal, threshold: Decimal) -> Verdict:
        """Breached strictly below the threshold."""
        breached = value < threshold
        return self._compared(measured, value, threshold, breached, "under" if breached else "not under")

    def _compared(
        self, measured: Measurement, value: Decimal, threshold: Decimal, breached: bool, relation: str
    ) -> Verdict:
        figures = f"{format_figure(value, self.unit)} {relation} {format_figure(threshold, self.unit)}"
        return Verdict(
            group=measured.group,
            outcome=Outcome.BREACHED if breached else Outcome.OK,
            severity=self.severity,
            reason=f"{self.subject} {figures} {self.span}{suffix(measured.group)} ({count(measured.calls, 'call')})",
            unit=self.unit,
            value=value,
            threshold=threshold,
        )


class WindowRule(TrafficRule):
    """A traffic rule that needs nothing but the window itself."""

    @abstractmethod
    def weigh(self, measured: Measurement) -> Verdict:
        """The verdict on a group that has at least `min_calls`."""

    def begins(self, now: datetime) -> datetime:
        """When the window that ends now began."""
        return now - self.window

    def judge(self, readers: Readers, now: datetime) -> Sequence[Verdict]:
        measurements = readers.measure(Window(self.begins(now), now), self.group_by, self.match)
        return [self.weigh(m) if m.calls >= self.min_calls else self.too_few(m) for m in measurements]


def suffix(group: Group) -> str:
    """` for provider=openai`; empty for everything together."""
    return f" for {format_group(group)}" if group else ""


def ratio(part: int, whole: int) -> Decimal:
    return Decimal(part) / whole
