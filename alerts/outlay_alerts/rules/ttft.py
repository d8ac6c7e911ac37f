"""`ttft`: how long the first chunk of a streamed call takes. Calls that do not stream have no part in it."""

from __future__ import annotations

from datetime import timedelta

from outlay_alerts.measurements import Measurement, Percentiles
from outlay_alerts.rules.keys import Length
from outlay_alerts.rules.percentile import PercentileRule


class TimeToFirstToken(PercentileRule):
    kind = "ttft"
    advice = "compare models and providers; look for long prompts and for retries."
    quantity = "time to first token"

    above: Length = timedelta(seconds=5)

    def read(self, measured: Measurement) -> Percentiles:
        return measured.ttft_ms
