"""Money at the edge: nano-USD as the decimal text people read."""

from __future__ import annotations

from decimal import Decimal
from typing import overload

from outlay.lines import decimal_text


@overload
def usd_text(nano_usd: int) -> str: ...
@overload
def usd_text(nano_usd: int | None) -> str | None: ...
def usd_text(nano_usd: int | None) -> str | None:
    """USD without exponent or trailing zeros: `0.04940025`. None stays None: unknown is not zero."""
    return None if nano_usd is None else decimal_text(Decimal(nano_usd).scaleb(-9))
