"""The rules that run where nobody has written any: the thresholds this field has settled on."""

from __future__ import annotations

from typing import Any, Final

from outlay_alerts.config import read_rules
from outlay_alerts.rules import Rule

SOURCE: Final = "the default rules"

DEFAULT_RULES: Final[tuple[dict[str, Any], ...]] = (
    {"name": "errors", "kind": "error_rate", "above": 0.05, "for": "5m", "group_by": ["provider"]},
    {
        "name": "lasting-errors",
        "kind": "error_rate",
        "severity": "warning",
        "above": 0.01,
        "window": "15m",
        "for": "15m",
        "min_calls": 100,
        "group_by": ["provider"],
    },
    {"name": "slow-calls", "kind": "latency", "above": "10s", "for": "5m", "group_by": ["provider"]},
    {"name": "budgets", "kind": "budget"},
    {"name": "budget-overrun", "kind": "budget", "soft": [1.2], "hard": 1.5},
    {"name": "rate-limits", "kind": "rate_limited", "above": 10, "window": "1h", "group_by": ["provider"]},
    {"name": "authentication", "kind": "auth_failures", "group_by": ["provider"]},
    {"name": "cache-hit-rate", "kind": "cache_hit_rate", "severity": "info", "below": 0.3, "group_by": ["provider"]},
    {"name": "traffic-spike", "kind": "traffic_spike", "above": 3},
    {"name": "cost-spike", "kind": "cost_spike", "above": 1.5},
    {"name": "no-price", "kind": "unpriced", "group_by": ["provider", "model"]},
)


def default_rules() -> tuple[Rule, ...]:
    return read_rules(DEFAULT_RULES, SOURCE)
