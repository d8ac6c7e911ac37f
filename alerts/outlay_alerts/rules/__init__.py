"""The kinds of rules. A kind is a file here and a line in this list."""

from __future__ import annotations

from typing import Final

from outlay_alerts.rules.auth_failures import AuthFailures
from outlay_alerts.rules.base import Rule
from outlay_alerts.rules.budget import BudgetRule
from outlay_alerts.rules.cache_hit_rate import CacheHitRate
from outlay_alerts.rules.cost_spike import CostSpike
from outlay_alerts.rules.error_rate import ErrorRate
from outlay_alerts.rules.headroom import Headroom
from outlay_alerts.rules.latency import Latency
from outlay_alerts.rules.no_data import NoData
from outlay_alerts.rules.rate_limited import RateLimited
from outlay_alerts.rules.spend import Spend
from outlay_alerts.rules.traffic_spike import TrafficSpike
from outlay_alerts.rules.ttft import TimeToFirstToken
from outlay_alerts.rules.unpriced import UnpricedCalls

KINDS: Final[dict[str, type[Rule]]] = {
    rule.kind: rule
    for rule in (
        BudgetRule,
        Spend,
        CostSpike,
        TrafficSpike,
        ErrorRate,
        AuthFailures,
        RateLimited,
        Headroom,
        Latency,
        TimeToFirstToken,
        CacheHitRate,
        UnpricedCalls,
        NoData,
    )
}

__all__ = ["KINDS", "Rule"]
