"""`unpriced`: calls whose cost is not known, and which no total of spend therefore holds."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from pydantic import Field

from outlay_alerts.measurements import Measurement
from outlay_alerts.rules.base import WindowRule
from outlay_alerts.rules.keys import Length, Number
from outlay_alerts.verdict import Verdict


class UnpricedCalls(WindowRule):
    kind = "unpriced"
    advice = "add a [[price]] for each model that `outlay prices missing` lists."
    quantity = "calls without a price"
    unit = "count"

    above: Number = Field(
        default=Decimal(0), description="The most calls without a price in the window that are still well."
    )
    window: Length = timedelta(hours=1)

    def weigh(self, measured: Measurement) -> Verdict:
        return self.over(measured, Decimal(measured.unpriced_calls), self.above)
