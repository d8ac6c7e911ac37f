"""What calls cost: a price book with dates, the user's entries on top, and exact arithmetic.

`PriceBook.bundled()` prices a `Usage` without network or heavy imports; `scripts/build_prices.py` makes its data.
"""

from __future__ import annotations

from outlay.prices.book import PriceBook
from outlay.prices.cost import decimal_text, nano_usd, nano_usd_text
from outlay.prices.entry import Price, Unpriced
from outlay.prices.overrides import Override, read_overrides

__all__ = ["Override", "Price", "PriceBook", "Unpriced", "decimal_text", "nano_usd", "nano_usd_text", "read_overrides"]
