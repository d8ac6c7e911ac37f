"""What a budget is: who it covers, how much it allows, for how long, and what happens at its end.

Pure data and decisions. Reading an entry of outlay.toml (or a body of the API: the same keys) is `definition`, time is
`period`, counting what was spent is the collector's, and holding a call back is `ledger`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

from outlay.budgets.period import Period, Window
from outlay.model import NANO_USD_PER_USD, Attribution
from outlay.names import as_stored

Unit = Literal["usd", "tokens", "calls"]
UNITS: Final[tuple[Unit, ...]] = ("usd", "tokens", "calls")
OnLimit = Literal["block", "alert"]
WhenUnreachable = Literal["open", "closed", "last_known"]
Unpriced = Literal["pass", "block"]
Uncapped = Literal["maximum", "p99"]
Scope = tuple[str, ...]
"""The values of a budget's `per` dimensions, in their order; empty where all share one limit."""

DIMENSIONS: Final = ("service", "environment", "provider", "model", "operation", "feature", "user", "tenant", "session")
TRACE: Final = "trace"
"""The trace a call is part of. A call that begins a trace of its own has none: nothing runs away in it."""
TAG_PREFIX: Final = "tag."


@dataclass(frozen=True, slots=True)
class Limit:
    """How much: `amount` is in nano-USD where the unit is usd, else a count."""

    unit: Unit
    amount: int

    def text(self, amount: int) -> str:
        """An amount of this unit for people: `$5.02`, `1,200 tokens`."""
        if self.unit != "usd":
            return f"{amount:,} {self.unit if amount != 1 else self.unit[:-1]}"
        usd = Decimal(amount) / NANO_USD_PER_USD
        return f"${usd:,.2f}" if abs(usd) >= 1 or usd == usd.quantize(Decimal("0.01")) else f"${usd.normalize():f}"

    def usd(self, amount: int) -> Decimal | None:
        """The amount in USD, None where this limit counts something else."""
        return Decimal(amount) / NANO_USD_PER_USD if self.unit == "usd" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One definition. `match` names the allowed values of a dimension, any of them; every dimension must match.

    `thresholds` are shares of the limit at which people are told, ascending. `unpriced` says whether a budget in USD
    lets a call pass whose model has no known price; such a call cannot be counted in money. `uncapped` says what is set
    aside for what a request leaves open: the most its model can come to, or what 99 of 100 such calls stayed under.
    """

    name: str
    limit: Limit
    period: Period
    match: Mapping[str, frozenset[str]] = field(default_factory=dict)
    per: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = (0.8,)
    on_limit: OnLimit = "block"
    when_unreachable: WhenUnreachable = "open"
    unpriced: Unpriced = "pass"
    uncapped: Uncapped = "maximum"

    def window(self, now: datetime) -> Window:
        return self.period.window(now)

    def scope_of(self, call: Mapping[str, str | None]) -> Scope | None:
        """Whose limit a call of these dimensions draws on, None where the budget does not cover it.

        A call that does not say a `per` dimension (no user, for a budget per user) is not covered: a shared limit of
        the unnamed would block strangers for one another.
        """
        for dimension, allowed in self.match.items():
            if call.get(dimension) not in allowed:
                return None
        scope = tuple(call.get(dimension) or "" for dimension in self.per)
        return scope if all(scope) else None

    def counts_like(self, other: Budget) -> bool:
        """Whether the two count the same things: what was set aside for one stands for the other."""
        mine = (self.name, self.limit.unit, self.period, self.match, self.per)
        return mine == (other.name, other.limit.unit, other.period, other.match, other.per)

    def named(self, scope: Scope) -> dict[str, str]:
        """A scope with the names of its dimensions."""
        return dict(zip(self.per, scope, strict=True))

    def entry(self) -> dict[str, object]:
        """The definition in the keys it is written with; reading it back gives an equal budget."""
        usd = self.limit.usd(self.limit.amount)
        return {
            "name": self.name,
            "limit": {self.limit.unit: self.limit.amount if usd is None else f"{usd.normalize():f}"},
            "period": self.period.name,
            "timezone": self.period.timezone,
            "match": {dimension: sorted(values) for dimension, values in self.match.items()},
            "per": list(self.per),
            "thresholds": list(self.thresholds),
            "on_limit": self.on_limit,
            "when_unreachable": self.when_unreachable,
            "unpriced": self.unpriced,
            **({} if self.uncapped == "maximum" else {"uncapped": self.uncapped}),  # older clients do not know the key
        }


def dimensions_of(
    provider: str, operation: str, model: str | None, attribution: Attribution, trace: str | None = None
) -> dict[str, str | None]:
    """A call in the words budgets match on, as they are stored. `model` is the one asked for: what is known before the
    call is sent."""
    call: dict[str, str | None] = {
        "service": attribution.service,
        "environment": attribution.environment,
        "provider": provider,
        "model": model,
        "operation": operation,
        "feature": attribution.feature,
        "user": attribution.user,
        "tenant": attribution.tenant,
        "session": attribution.session,
        TRACE: trace,
    }
    for name, value in attribution.tags.items():
        call[TAG_PREFIX + name] = value
    return {name: as_stored(value) for name, value in call.items()}


def scope_key(scope: Scope) -> str:
    """A scope as text that is equal where scopes are: how leases and accounts are keyed on the wire and on disk."""
    return json.dumps(scope, ensure_ascii=False, separators=(",", ":"))


def read_scope_key(key: str) -> Scope:
    return tuple(json.loads(key))
