"""Reading counts: either a number that can be true, or a contradiction that names the field and its value.

Nothing here repairs. A count that is negative, not a number, or larger than the total it is said to be part of makes
the whole usage unreadable, and the reason is kept: a call without a figure is found and fixed, a wrong figure is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from outlay.model import Quantity, Usage
from outlay.providers.foreign import NOTHING, is_mapping


class Contradiction(Exception):
    """Counts that cannot all be true. The message names the fields and their values."""


def count(raw: Mapping[str, Any], *fields: str) -> int | None:
    """The first of these fields that is there, as a count; None where each is absent or null.

    Whole floats are counts too: a mirror of Titan's responses writes `8.0` (bedrock.invoke_model.fbc8e9f7bebb).
    """
    for field in fields:
        value = raw.get(field)
        if value is None:
            continue
        if type(value) is int and value >= 0:
            return value
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int:
            raise Contradiction(f"{field} is not a count: {_shown(value)}")
        if value < 0:
            raise Contradiction(f"{field} is negative: {value}")
        return value
    return None


def measure(raw: Mapping[str, Any], field: str) -> Decimal | None:
    """A measured quantity (seconds, dollars) to its last written digit; None where absent or null."""
    value = raw.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise Contradiction(f"{field} is not a number: {_shown(value)}")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise Contradiction(f"{field} is not a number: {_shown(value)}") from None
    if not number.is_finite() or number < 0:
        raise Contradiction(f"{field} is not a quantity: {_shown(value)}")
    return number


def detail(raw: Mapping[str, Any], *fields: str) -> Mapping[str, Any]:
    """The first of these breakdowns that is there; empty where none is."""
    for field in fields:
        value = raw.get(field)
        if value is None:
            continue
        if not is_mapping(value):
            raise Contradiction(f"{field} is not a breakdown: {_shown(value)}")
        return value
    return NOTHING


def parts_of(breakdown: Mapping[str, Any], units: Mapping[str, str]) -> dict[str, int]:
    """The counts of a breakdown by unit; `units` names the unit of each field that is one. Where several fields are of
    one unit the first that is there counts."""
    parts: dict[str, int] = {}
    for field in breakdown:
        unit = units.get(field)
        if unit is not None and unit not in parts and (part := count(breakdown, field)) is not None:
            parts[unit] = part
    return parts


def remainder(name: str, total: int, parts: Mapping[str, int | None]) -> int:
    """What is left of a total once its parts are taken out. Raises where they exceed it."""
    rest = total - sum(filter(None, parts.values()))
    if rest < 0:
        listed = " + ".join(f"{part} {n}" for part, n in parts.items() if n)
        raise Contradiction(f"{listed} exceeds {name} {total}")
    return rest


def within(name: str, part: int | None, total_name: str, total: int | None) -> None:
    """Refuse a detail that is larger than what it is a detail of."""
    if part is not None and total is not None and part > total:
        raise Contradiction(f"{name} {part} exceeds {total_name} {total}")


def usage_of(
    quantities: Mapping[str, Quantity | None],
    inferred: str | None = None,
    other_models: Mapping[str, Usage] = NOTHING,
) -> Usage:
    """A usage of those quantities that are known."""
    known = {unit: quantity for unit, quantity in quantities.items() if quantity is not None}
    return Usage(known, inferred, other_models)


NO_USAGE: Final = "the response carries no usage"


def attempt(read: Callable[[], Usage | None]) -> tuple[Usage | None, str | None]:
    """The usage, or None and why there is none: a contradiction, or nothing to read."""
    try:
        usage = read()
    except Contradiction as contradiction:
        return None, str(contradiction)
    return usage, None if usage else NO_USAGE


def _shown(value: object) -> str:
    """A value for a message: short, since a response may hold a prompt where a number should be."""
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."
