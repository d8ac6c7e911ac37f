"""What calls cost: a price book with dates, the user's entries on top, and exact arithmetic.

`PriceBook.bundled()` prices a `Usage` without network or heavy imports; `scripts/build_prices.py` makes its data.
"""

from __future__ import annotations

from outlay.prices.book import PriceBook
from outlay.prices.cost import nano_usd
from outlay.prices.overrides import Override, read_overrides
from outlay.prices.price import Price, Unpriced

__all__ = ["Override", "Price", "PriceBook", "Unpriced", "nano_usd", "read_overrides"]
