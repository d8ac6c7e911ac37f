"""The values that answers are made of: amounts, times, and dimensions with theirs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

Json = Mapping[str, Any]
Pairs = tuple[tuple[str, str | None], ...]
"""Dimensions and their values; None is a call that did not say."""


def read_pairs(mapping: Json) -> Pairs:
    return tuple(mapping.items())


def read_amount(value: str | int) -> Decimal:
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{value!r} is not an amount") from None


def read_amount_or_none(value: str | None) -> Decimal | None:
    return None if value is None else read_amount(value)


def read_time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return at


def read_time_or_none(text: str | None) -> datetime | None:
    return None if text is None else read_time(text)
