"""Usage times price: line items, one sum, and how far it can be trusted.

Everything is multiplied in `Decimal` and rounded once, half to even, to a whole nano-USD.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from outlay.model import NANO_USD_PER_USD, Cost, CostLine, CostStatus, Quantity, Usage
from outlay.prices.entry import EXACTLY, Price, Unpriced
from outlay.units import UNITS

_ZERO: Final = Decimal(0)
_MOST_OF_A_UNIT: Final = 10**15
MOST_USD: Final = Decimal(9_000_000_000)
"""What fits into 63 bits of nano-USD. A call that cost more did not happen."""
_ONE: Final = Decimal(1)
_PER: Final = {name: (unit.per, EXACTLY.divide(_ONE, unit.per)) for name, unit in UNITS.items()}
"""How many of a unit its rate is for, and what share of it is one of them: a power of ten, which multiplies exactly."""
_times: Final = EXACTLY.multiply
_plus: Final = EXACTLY.add


def nano_usd(amount_usd: Decimal) -> int:
    """USD to whole nano-USD, half to even."""
    return round(EXACTLY.multiply(amount_usd, NANO_USD_PER_USD))  # of a Decimal it is exact, and half to even


def contradiction(usage: Usage) -> str | None:
    """What is wrong with these counts, None where nothing is."""
    if not usage.quantities and not usage.other_models:
        return "the provider reported no counts"
    for unit, quantity in usage.quantities.items():
        is_plain = type(quantity) is int and 0 <= quantity <= _MOST_OF_A_UNIT and unit in UNITS
        if not is_plain and (wrong := _wrong(unit, quantity)):
            return wrong
    reasoning, output = usage.quantities.get("reasoning", 0), usage.quantities.get("output")
    if output is not None and reasoning > output:
        return f"reasoning ({reasoning}) is more than the output it is a part of ({output})"
    for model, other in usage.other_models.items():
        if wrong := contradiction(other):
            return f"{model}: {wrong}"
    return None


def _wrong(unit: str, quantity: object) -> str | None:
    if unit not in UNITS:
        return f"unknown unit {unit}"
    if isinstance(quantity, bool) or not isinstance(quantity, int | Decimal):
        return f"{unit} is {quantity!r}: not a number"
    if isinstance(quantity, Decimal) and not quantity.is_finite():
        return f"{unit} is {quantity}: not a number"
    if quantity < 0:
        return f"{unit} is {quantity}: negative"
    return f"{unit} is {quantity}: more than any call can use" if quantity > _MOST_OF_A_UNIT else None


def cost_of(parts: Sequence[tuple[Usage, Price | Unpriced]]) -> Cost:
    """What a call costs: each model that worked on it as its usage and its price, the one that answered first.

    The usages must be free of contradictions. A unit that was used and has no rate makes the cost `partial`; where
    nothing that was used has one, `unpriced`.
    """
    lines: list[CostLine] = []
    missing: list[str] = []
    inferred: list[str] = []
    first: Price | None = None
    for usage, price in parts:
        if isinstance(price, Unpriced):
            missing.append(price.reason)
            continue
        first = first or price
        if without_rate := _add_lines(lines, usage, price):
            missing.append(f"no rate for {', '.join(without_rate)}")
        if usage.inferred or price.inferred:
            inferred += filter(None, (usage.inferred, price.inferred))
    if first is None or (missing and not lines):
        return Cost.unpriced("; ".join(missing))
    status, reason = CostStatus.EXACT, None
    if missing or inferred:
        status = CostStatus.PARTIAL if missing else CostStatus.ESTIMATED
        reason = "; ".join(dict.fromkeys((*missing, *inferred)))
    total = _ZERO
    for line in lines:
        total = _plus(total, line.cost_usd)
    if total > MOST_USD:
        return Cost.unpriced(f"{total:.0f} USD is more than any call can cost")
    return Cost(
        nano_usd=nano_usd(total),
        status=status,
        reason=reason,
        lines=tuple(lines),
        price_id=first.id,
        source=first.source,
    )


def _add_lines(lines: list[CostLine], usage: Usage, price: Price) -> list[str]:
    """Adds a line for all that was used and has a rate; returns what has none."""
    rates, quantities = price.rates, usage.quantities
    if "reasoning" in rates or "web_search_query" in quantities:
        quantities = _told_apart(quantities, rates)
    without_rate: list[str] = []
    for unit, quantity in quantities.items():
        if not quantity:
            continue
        if (rate := rates.get(unit)) is not None:
            per, share = _PER[unit]
            lines.append(CostLine(unit, quantity, rate, per, _times(rate, _times(quantity, share))))
        elif unit != "reasoning":  # inside output
            without_rate.append(unit)
    return without_rate


def _told_apart(quantities: Mapping[str, Quantity], rates: Mapping[str, Decimal]) -> Mapping[str, Quantity]:
    """The quantities as this price bills them, where it makes a difference what lies inside what.

    Reasoning with a rate of its own is no longer a part of output. Searches that are reported both by call and by query
    are billed the way the price counts them.
    """
    told = dict(quantities)
    if "reasoning" in rates and "output" in told:
        told["output"] -= told.get("reasoning", 0)
    if "web_search" in told and "web_search_query" in told:
        told.pop("web_search_query" if "web_search" in rates else "web_search")
    return told
