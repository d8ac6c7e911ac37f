"""Usage times price: line items, one sum, and how far it can be trusted.

Everything is multiplied in `Decimal` and rounded once, half to even, to a whole nano-USD.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from outlay.model import NANO_USD_PER_USD, Cost, CostLine, CostStatus, Quantity, Usage
from outlay.prices.entry import EXACTLY, Price, Unpriced
from outlay.units import UNITS

_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)


def nano_usd(amount_usd: Decimal) -> int:
    """USD to whole nano-USD, half to even."""
    return int(EXACTLY.quantize(EXACTLY.multiply(amount_usd, NANO_USD_PER_USD), _ONE))


def nano_usd_text(nano_usd: int | None) -> str | None:
    """Nano-USD as USD in decimal text: `0.04940025`."""
    return None if nano_usd is None else decimal_text(Decimal(nano_usd).scaleb(-9, EXACTLY))


def decimal_text(amount: Decimal) -> str:
    """A decimal with neither exponent nor trailing zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def contradiction(usage: Usage) -> str | None:
    """What is wrong with these counts, None where nothing is."""
    if not usage.quantities and not usage.other_models:
        return "the provider reported no counts"
    for unit, quantity in usage.quantities.items():
        if (type(quantity) is not int or quantity < 0 or unit not in UNITS) and (wrong := _wrong(unit, quantity)):
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
    return f"{unit} is {quantity}: negative" if quantity < 0 else None


def cost_of(parts: Sequence[tuple[Usage, Price | Unpriced]]) -> Cost:
    """What a call costs: each model that worked on it as its usage and its price, the one that answered first.

    The usages must be free of contradictions. A unit that was used and has no rate makes the cost `partial`; where
    nothing that was used has one, `unpriced`.
    """
    lines: list[CostLine] = []
    missing: list[str] = []
    inferred: list[str] = []
    for usage, price in parts:
        if isinstance(price, Unpriced):
            missing.append(price.reason)
            continue
        if without_rate := _add_lines(lines, usage, price):
            missing.append(f"no rate for {', '.join(without_rate)}")
        inferred += [reason for reason in (usage.inferred, price.inferred) if reason]
    if missing and not lines:
        return Cost.unpriced("; ".join(missing))
    status = CostStatus.PARTIAL if missing else CostStatus.ESTIMATED if inferred else CostStatus.EXACT
    total = _ZERO
    for line in lines:
        total = EXACTLY.add(total, line.cost_usd)
    first = next(price for _, price in parts if isinstance(price, Price))
    return Cost(
        nano_usd=nano_usd(total),
        status=status,
        reason="; ".join(dict.fromkeys((*missing, *inferred))) or None,
        lines=tuple(lines),
        price_id=first.id,
        source=first.source,
    )


def _add_lines(lines: list[CostLine], usage: Usage, price: Price) -> list[str]:
    """Adds a line for all that was used and has a rate; returns what has none."""
    without_rate: list[str] = []
    for unit, quantity in _billed(usage, price):
        rate = price.rates.get(unit)
        if rate is None:
            without_rate.append(unit)
            continue
        per = UNITS[unit].per
        lines.append(CostLine(unit, quantity, rate, per, EXACTLY.divide(EXACTLY.multiply(rate, quantity), per)))
    return without_rate


def _billed(usage: Usage, price: Price) -> Iterator[tuple[str, Quantity]]:
    """What makes lines. Reasoning is one only where it has a rate of its own, and then is no longer part of output."""
    reasoning = usage.quantities.get("reasoning", 0) if "reasoning" in price.rates else 0
    counted_twice = _counted_twice(usage, price)
    for unit, quantity in usage.quantities.items():
        if unit == "output":
            quantity -= reasoning
        if quantity and (unit != "reasoning" or reasoning) and unit != counted_twice:
            yield unit, quantity


def _counted_twice(usage: Usage, price: Price) -> str | None:
    """Which count of searches to leave out where a provider reports both: the price has a rate for the other."""
    if "web_search" not in usage.quantities or "web_search_query" not in usage.quantities:
        return None
    return "web_search_query" if "web_search" in price.rates else "web_search"
