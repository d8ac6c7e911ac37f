"""What each unit of one call costs, with nothing left to decide; and how money is calculated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation
from typing import Final, NamedTuple

from outlay.lines import Line
from outlay.units import UNITS

EXACTLY: Final = Context(prec=60, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero])
"""How money is calculated, whatever the decimal context of the application."""


class Billed(NamedTuple):
    """What a line of one unit is made of: what one costs, exactly, as units are priced by powers of ten."""

    each_usd: Decimal
    line: Line


@dataclass(frozen=True, slots=True)
class Price:
    """What each unit of one call costs: USD for `UNITS[unit].per` of it, tier, region and size already decided.

    `id` changes with the content of the entry. `inferred` says in words what had to be assumed to use this price; a
    cost made from it is `estimated`.
    """

    id: str
    source: str
    rates: Mapping[str, Decimal]
    inferred: str | None = None
    _billed: dict[str, Billed] = field(default_factory=dict, repr=False, compare=False)

    def billed(self, unit: str) -> Billed | None:
        """How a unit is billed, worked out when it first is; None where there is no rate for it."""
        known = self._billed.get(unit)
        if known is None and (rate := self.rates.get(unit)) is not None:
            per = UNITS[unit].per
            known = self._billed[unit] = Billed(EXACTLY.divide(rate, per), Line.of(unit, rate, per))
        return known


@dataclass(frozen=True, slots=True)
class Unpriced:
    """No price, and why."""

    reason: str
