"""`traffic_spike`: many times the calls that are normal. A loop, a retry storm, or a key in the wrong hands."""

from __future__ import annotations

from decimal import Decimal

from outlay_alerts.measurements import Measurement
from outlay_alerts.rules.keys import AtLeastOne, Number
from outlay_alerts.rules.spike import SpikeRule


class TrafficSpike(SpikeRule):
    kind = "traffic_spike"
    advice = "look at the last calls for a loop or a retry storm; a key may be in the wrong hands."
    quantity = "traffic"

    above: Number = Decimal(3)
    min_calls: AtLeastOne = 100

    def amount(self, measured: Measurement) -> int | None:
        return measured.calls
