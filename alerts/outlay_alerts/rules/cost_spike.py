"""`cost_spike`: spend well above what it normally is, long before a budget would notice."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from outlay_alerts.measurements import Measurement
from outlay_alerts.rules.keys import AtLeastOne, Length, Number
from outlay_alerts.rules.spike import SpikeRule


class CostSpike(SpikeRule):
    kind = "cost_spike"
    advice = "see what grew with `outlay spend --by model,feature` for the last two days."
    quantity = "spend"

    above: Number = Decimal("1.5")
    window: Length = timedelta(hours=24)
    min_calls: AtLeastOne = 100

    def amount(self, measured: Measurement) -> int | None:
        return measured.cost_nano_usd
