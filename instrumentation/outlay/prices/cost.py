"""Usage times price: line items, one sum, and how far it can be trusted.

Everything is multiplied in `Decimal` and rounded once, half to even, to a whole nano-USD.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from outlay.lines import WrittenLines
from outlay.model import NANO_USD_PER_USD, Cost, CostStatus, Quantity, Usage
from outlay.prices.price import EXACTLY, Price, Unpriced
from outlay.units import UNITS

_ZERO: Final = Decimal(0)
_MOST_OF_A_UNIT: Final = 10**15
MOST_USD: Final = Decimal(9_000_000_000)
"""What fits into 63 bits of nano-USD. A call that cost more did not happen."""
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
    total = _ZERO
    lines: list[str] = []
    missing: list[str] = []
    inferred: list[str] = []
    first: Price | None = None
    for usage, price in parts:
        if isinstance(price, Unpriced):
            missing.append(price.reason)
            continue
        first = first or price
        cost_usd, without_rate = _add_lines(lines, usage, price)
        total = _plus(total, cost_usd)
        if without_rate:
            missing.append(f"no rate for {', '.join(without_rate)}")
        if usage.inferred or price.inferred:
            inferred += filter(None, (usage.inferred, price.inferred))
    if first is None or (missing and not lines):
        return Cost.unpriced("; ".join(missing))
    if total > MOST_USD:
        return Cost.unpriced(f"{total:.0f} USD is more than any call can cost")
    status, reason = CostStatus.EXACT, None
    if missing or inferred:
        status = CostStatus.PARTIAL if missing else CostStatus.ESTIMATED
        reason = "; ".join(dict.fromkeys((*missing, *inferred)))
    return Cost(
        nano_usd=nano_usd(total),
        status=status,
        reason=reason,
        lines=WrittenLines(f"[{','.join(lines)}]") if lines else (),
        price_id=first.id,
        source=first.source,
    )


def _add_lines(lines: list[str], usage: Usage, price: Price) -> tuple[Decimal, list[str]]:
    """Adds a line for all that was used and has a rate. What these cost in USD, and the units that have none."""
    total = _ZERO
    without_rate: list[str] = []
    for unit, quantity in _told_apart(usage.quantities, price.rates).items():
        if not quantity:
            continue
        if (billed := price.billed(unit)) is not None:
            cost_usd = _times(billed.each_usd, quantity)
            total = _plus(total, cost_usd)
            lines.append(billed.line.written(quantity, cost_usd))
        elif unit != "reasoning":  # inside output
            without_rate.append(unit)
    return total, without_rate


def _told_apart(quantities: Mapping[str, Quantity], rates: Mapping[str, Decimal]) -> Mapping[str, Quantity]:
    """The quantities as this price bills them, where it makes a difference what lies inside what.

    Reasoning with a rate of its own is no longer a part of output. Searches that are reported both by call and by query
    are billed the way the price counts them.
    """
    if "reasoning" not in rates and "web_search_query" not in quantities:
        return quantities
    told = dict(quantities)
    if "reasoning" in rates and "output" in told:
        told["output"] -= told.get("reasoning", 0)
    if "web_search" in told and "web_search_query" in told:
        told.pop("web_search_query" if "web_search" in rates else "web_search")
    return told
