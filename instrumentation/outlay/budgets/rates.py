"""What each kind of token of a call costs at its dearest, worked out once a price.

A worst case asks for the dearest way a token can be billed: text as a cache write where the request marks one, a tier
the provider may serve without being asked for it. Whole nano-USD a million tokens, and a single use of what carries a
fee; rounded up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Final

from outlay.budgets.weigh import Size
from outlay.model import NANO_USD_PER_USD
from outlay.prices import Price
from outlay.units import UNITS

_TEXT: Final = ("input", "cache_write", "tool_input")
_MARKED: Final = (*_TEXT, "cache_write_5m")
_MARKED_HOUR: Final = (*_MARKED, "cache_write_1h")


@dataclass(frozen=True, slots=True)
class Card:
    """Nano-USD: a million tokens of each kind, and one use of what `fees` names."""

    text: int
    text_marked: int
    text_marked_hour: int
    image: int
    audio: int
    video: int
    output: int
    output_audio: int
    output_image: int
    fees: Mapping[str, int]
    request: int
    """The fee of the request itself."""
    is_free: bool
    """Whether every rate is 0. A price without any rate is no gift."""

    def marked(self, size: Size) -> int:
        """A million tokens of text, written to the provider's cache where the body says so."""
        if not size.has_cache_mark:
            return self.text
        return self.text_marked_hour if size.has_hour_mark else self.text_marked


def card_of(prices: Iterable[Price]) -> Card:
    """The dearest of several prices, rate by rate."""
    rates: dict[str, Decimal] = {}
    for price in prices:
        for unit, rate in price.rates.items():
            rates[unit] = max(rates.get(unit, rate), rate)
    text = _dearest(rates, _TEXT)
    output = _dearest(rates, ("output", "reasoning"))
    return Card(
        text=text,
        text_marked=_dearest(rates, _MARKED),
        text_marked_hour=_dearest(rates, _MARKED_HOUR),
        image=max(text, _dearest(rates, ("input_image",))),
        audio=max(text, _dearest(rates, ("input_audio",))),
        video=max(text, _dearest(rates, ("input_video",))),
        output=output,
        output_audio=max(output, _dearest(rates, ("output_audio",))),
        output_image=max(output, _dearest(rates, ("output_image",))),
        request=_nano(rates["request"] / UNITS["request"].per) if "request" in rates else 0,
        fees={unit: _nano(rate / UNITS[unit].per) for unit, rate in rates.items() if UNITS[unit].side == "fee"},
        is_free=bool(rates) and not any(rates.values()),
    )


def _dearest(rates: Mapping[str, Decimal], units: Iterable[str]) -> int:
    return max((_nano(rates[unit]) for unit in units if unit in rates), default=0)


def _nano(usd: Decimal) -> int:
    return int((usd * NANO_USD_PER_USD).to_integral_value(ROUND_CEILING))
