"""`cache_hit_rate`: the share of input tokens a provider's prompt cache answered for."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from pydantic import Field

from outlay_alerts.measurements import Measurement
from outlay_alerts.rules.base import WindowRule, ratio, suffix
from outlay_alerts.rules.keys import AtLeastOne, Length, Share
from outlay_alerts.verdict import Verdict


class CacheHitRate(WindowRule):
    kind = "cache_hit_rate"
    advice = "look for prompts whose beginning changes from call to call."
    quantity = "cache hit rate"
    unit = "ratio"

    below: Share = Field(default=Decimal("0.3"), description="The lowest share that is still well: 0.3 is 30%.")
    window: Length = timedelta(hours=1)
    min_calls: AtLeastOne = 100

    def weigh(self, measured: Measurement) -> Verdict:
        if not measured.input_tokens or measured.cache_read_tokens is None:
            reason = f"cache hit rate unknown: no cache counts were reported {self.span}{suffix(measured.group)}"
            return self.unknown(measured.group, reason, self.unit)
        return self.under(measured, ratio(measured.cache_read_tokens, measured.input_tokens), self.below)
