"""Usage times price: line items, one sum, and how far it can be trusted.

Everything is multiplied in `Decimal` under a context of our own, so that an application's decimal settings cannot
reach our figures, and rounded once, half to even, to a whole nano-USD.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Final

from outlay.model import NANO_USD_PER_USD, Cost, CostLine, CostStatus, Quantity, Usage
from outlay.prices.entry import Price
from outlay.units import UNITS

_CONTEXT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation])
_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)


def nano_usd(amount_usd: Decimal) -> int:
    """USD to whole nano-USD, half to even."""
    return int(_CONTEXT.quantize(_CONTEXT.multiply(amount_usd, NANO_USD_PER_USD), _ONE))


def contradiction(usage: Usage) -> str | None:
    """What is wrong with these counts, None where nothing is."""
    if not usage.quantities:
        return "the provider reported no counts"
    for unit, quantity in usage.quantities.items():
        if unit not in UNITS:
            return f"unknown unit {unit}"
        if isinstance(quantity, bool) or not isinstance(quantity, (int, Decimal)):
            return f"{unit} is {quantity!r}: not a number"
        if isinstance(quantity, Decimal) and not quantity.is_finite():
            return f"{unit} is {quantity}: not a number"
        if quantity < 0:
            return f"{unit} is {quantity}: negative"
    reasoning, output = usage.quantities.get("reasoning", 0), usage.quantities.get("output")
    if output is not None and reasoning > output:
        return f"reasoning ({reasoning}) is more than the output it is a part of ({output})"
    return None


def cost_of(usage: Usage, price: Price) -> Cost:
    """What a usage costs at a price. The usage must be free of contradictions.

    A unit that was used and has no rate makes the cost `partial`; where nothing that was used has one, `unpriced`.
    A `request` rate is charged once a call, whether or not the provider counted it.
    """
    lines: list[CostLine] = []
    without_rate: list[str] = []
    total = _ZERO
    for unit, quantity in _billed(usage, price):
        rate = price.rates.get(unit)
        if rate is None:
            without_rate.append(unit)
            continue
        per = UNITS[unit].per
        cost = _CONTEXT.divide(_CONTEXT.multiply(rate, quantity), per)
        total = _CONTEXT.add(total, cost)
        lines.append(CostLine(unit, quantity, rate, per, cost))
    if without_rate and not lines:
        return Cost.unpriced(f"{price.id} has no rate for {', '.join(without_rate)}")
    status, reason = CostStatus.EXACT, None
    if inferred := "; ".join(filter(None, (usage.inferred, price.inferred))):
        status, reason = CostStatus.ESTIMATED, inferred
    if without_rate:
        missing = f"no rate for {', '.join(without_rate)}"
        status, reason = CostStatus.PARTIAL, f"{missing}; {reason}" if reason else missing
    return Cost(
        nano_usd=nano_usd(total),
        status=status,
        reason=reason,
        lines=tuple(lines),
        price_id=price.id,
        source=price.source,
    )


def _billed(usage: Usage, price: Price) -> list[tuple[str, Quantity]]:
    """The units that make lines. Reasoning is one only where it has a rate, and then is no longer part of output."""
    quantities = dict(usage.quantities)
    reasoning = quantities.pop("reasoning", 0)
    if reasoning and "reasoning" in price.rates and "output" in quantities:
        quantities["output"] -= reasoning
        quantities["reasoning"] = reasoning
    if "request" in price.rates:
        quantities.setdefault("request", 1)
    return [(unit, quantity) for unit, quantity in quantities.items() if quantity]
