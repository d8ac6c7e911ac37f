"""`spend`: what the calls of a window, or of the calendar period so far, have cost together."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from outlay.budgets.period import Period
from outlay.model import NANO_USD_PER_USD
from pydantic import AfterValidator, Field, model_validator

from outlay_alerts.measurements import Group, Measurement
from outlay_alerts.rules.base import WindowRule, suffix
from outlay_alerts.rules.keys import Length, Number
from outlay_alerts.verdict import Severity, Verdict, count


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # all three are ways of saying that there is no such zone
        raise ValueError('a time zone such as "UTC" or "Europe/Berlin"') from None
    return name


class Spend(WindowRule):
    kind = "spend"
    advice = "see who spends with `outlay spend --by feature,user,model`."
    quantity = "spend"
    unit = "usd"

    above_usd: Number = Field(description="The highest spend that is still well. Has no default.")
    window: Length = timedelta(hours=24)
    period: Literal["hour", "day", "week", "month"] | None = Field(
        default=None,
        description="`hour`, `day`, `week` or `month`: judge the calendar period so far, in place of a window.",
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        default="UTC", description="Where the calendar period begins."
    )
    severity: Severity = Severity.CRITICAL

    @model_validator(mode="after")
    def _one_span(self) -> Self:
        if {"window", "period"} <= self.model_fields_set:
            raise ValueError("a window or a period, not both")
        return self

    @property
    def span(self) -> str:
        return super().span if self.period is None else f"this {self.period} ({self.timezone})"

    def begins(self, now: datetime) -> datetime:
        return super().begins(now) if self.period is None else Period(self.period, self.timezone).window(now).start

    def weigh(self, measured: Measurement) -> Verdict:
        unpriced = count(measured.unpriced_calls, "call")
        if measured.cost_nano_usd is None:
            reason = f"spend unknown: {unpriced} {self.span}{suffix(measured.group)}, none of them priced"
            return self.unknown(measured.group, reason, "usd")
        verdict = self.over(measured, Decimal(measured.cost_nano_usd) / NANO_USD_PER_USD, self.above_usd)
        if not measured.unpriced_calls:
            return verdict
        return replace(verdict, reason=f"{verdict.reason}; {unpriced} without a price not counted")

    def absent(self, group: Group) -> Verdict:
        """No calls have cost nothing: that is known, not missing."""
        return self.over(Measurement(group=group, calls=0), Decimal(0), self.above_usd)
