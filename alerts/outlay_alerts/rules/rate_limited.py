"""`rate_limited`: how often providers answered 429, each attempt counted."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from pydantic import Field

from outlay_alerts.measurements import Measurement
from outlay_alerts.rules.base import WindowRule
from outlay_alerts.rules.keys import Length, Number
from outlay_alerts.verdict import Verdict


class RateLimited(WindowRule):
    kind = "rate_limited"
    advice = "spread the load, raise the provider's limit, or move calls to another model."
    quantity = "rate-limit answers"
    unit = "count"

    above: Number = Field(default=Decimal(10), description="The most 429 answers in the window that are still well.")
    window: Length = timedelta(hours=1)

    def weigh(self, measured: Measurement) -> Verdict:
        return self.over(measured, Decimal(measured.rate_limited), self.above)
