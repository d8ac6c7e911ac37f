"""How figures are written for people: exactly where there is room, readably where there is not.

Pure functions. An amount is a `Decimal` of USD or None for unknown; unknown is a dash and never a zero, and a total
that leaves calls out says how many. Nothing here rounds more than the reader can see: small amounts keep three
significant digits, and `exact_usd` writes every digit there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

UNKNOWN: Final = "\N{EN DASH}"

_CENT: Final = Decimal("0.01")
_SIGNIFICANT: Final = 3
_MARKDOWN: Final = str.maketrans({sign: f"\\{sign}" for sign in r"\`*_{}[]()<>#+-.!|~$:"})


def usd(amount: Decimal | None) -> str:
    """`$4.99`, `$1,234.50`, `$0.0494`, `$0.00000012`: cents, or three significant digits below a dollar."""
    if amount is None:
        return UNKNOWN
    if amount == 0 or abs(amount) >= 1:
        return _signed(amount, f"{abs(amount.quantize(_CENT, ROUND_HALF_EVEN)):,f}")
    smallest_digit = Decimal(1).scaleb(amount.adjusted() - _SIGNIFICANT + 1)
    rounded = amount.quantize(min(smallest_digit, _CENT), ROUND_HALF_EVEN)
    return _signed(rounded, _with_cents(abs(rounded)))


def exact_usd(amount: Decimal | None) -> str:
    """Every digit of the amount, no exponent, at least the cents."""
    return UNKNOWN if amount is None else _signed(amount, _with_cents(abs(amount)))


def amount(number: Decimal, unit: str) -> str:
    """Of a budget: `$2.13`, or `1,200 tokens`."""
    return usd(number) if unit == "usd" else f"{number:,f} {unit}"


def exact_amount(number: Decimal, unit: str) -> str:
    return exact_usd(number) if unit == "usd" else f"{number:,f} {unit}"


def measure(value: Decimal | None, unit: str) -> str:
    """The value of an alert in its unit (usd, ratio, ms, times, count): money to the last digit, the rest as far as it
    is known."""
    if value is None:
        return UNKNOWN
    match unit:
        case "usd":
            return exact_usd(value)
        case "ratio":
            return f"{_digits(round(value * 100, 2))}%"
        case "ms":
            return duration(float(value))
        case "times":
            return f"{_digits(round(value, 2))} times"
        case _:
            return _digits(value)


def spend(amount: Decimal | None, *, calls: int, unpriced: int, exact: bool = False) -> str:
    """A sum of costs, never silent about what it leaves out: `$4.99 and 3 calls without a price`."""
    write = exact_usd if exact else usd
    known = write(known_spend(amount, calls))
    if unpriced == 0:
        return known
    left_out = f"{plural(unpriced, 'call')} without a price"
    return left_out if amount is None else f"{known} and {left_out}"


def known_spend(amount: Decimal | None, calls: int) -> Decimal | None:
    """Without any call the spend is known: it is nothing."""
    return Decimal(0) if calls == 0 and amount is None else amount


def count(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {nouns or noun + 's'}"


def percent(share: float | None) -> str:
    """Two significant digits where the share is small, so that 3 errors in 10,000 calls are not `0.0%`."""
    if share is None:
        return UNKNOWN
    value = share * 100
    if value == 0 or abs(value) >= 10:
        return f"{value:.0f}%"
    return f"{value:.1f}%" if abs(value) >= 1 else f"{value:.2g}%"


def duration(milliseconds: float | None) -> str:
    """`0.4 ms`, `840 ms`, `1.24 s`, `12.3 s`, `2 min 05 s`, `3 h 12 min`."""
    if milliseconds is None:
        return UNKNOWN
    if milliseconds < 10:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 99.95:
        return f"{seconds:.1f} s" if seconds >= 9.995 else f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def roughly(length: timedelta) -> str:
    """To the largest unit, or two of them for hours: `12 s`, `7 min`, `3 h 12 min`, `4 d 2 h`."""
    seconds = int(length.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 48 * 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"
    return f"{seconds // 86400} d {seconds % 86400 // 3600} h"


def until(then: datetime, now: datetime) -> str:
    """How long there is still to go: `in 3 h 12 min`, or `now`."""
    left = then - now
    return "now" if left <= timedelta(0) else f"in {roughly(left)}"


def since(then: datetime, now: datetime) -> str:
    passed = now - then
    return "just now" if passed < timedelta(seconds=1) else f"{roughly(passed)} ago"


def moment(at: datetime | None) -> str:
    """To the second, in the time zone the value carries."""
    return UNKNOWN if at is None else at.strftime("%Y-%m-%d %H:%M:%S")


def name(value: str | None) -> str:
    """The value of a dimension; None is a call that did not say."""
    return "(not set)" if value is None else value or "(empty)"


def lost(by_reason: Mapping[str, int]) -> str | None:
    """Calls that clients could not deliver this month, as Markdown; None where there are none."""
    if not (calls := sum(by_reason.values())):
        return None
    are = "1 call was" if calls == 1 else f"{calls:,} calls were"
    why = ", ".join(f"{reason.replace('_', ' ')} {n:,}" for reason, n in sorted(by_reason.items()))
    return (
        f"**{are} lost by clients** this month: {plain(why)}. Every amount leaves them out. `outlay doctor` says more."
    )


def plain(text: str) -> str:
    """Text that Markdown leaves as it is: no emphasis from underscores, no formula between two dollar signs."""
    return text.translate(_MARKDOWN)


def _signed(amount: Decimal, digits: str) -> str:
    return f"-${digits}" if amount < 0 else f"${digits}"


def _with_cents(amount: Decimal) -> str:
    """No exponent, thousands separated, trailing zeros gone but for the cents."""
    whole, _, fraction = f"{amount:,f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def _digits(value: Decimal) -> str:
    """No exponent, thousands separated, no trailing zeros."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
