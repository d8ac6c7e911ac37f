"""What a rule says of one group at one moment, and the figures in it as people read them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal, assert_never

from outlay_alerts.measurements import Group

LONGEST_VALUE: Final = 80

Unit = Literal["ratio", "usd", "ms", "times", "count"]


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Outcome(StrEnum):
    BREACHED = "breached"
    OK = "ok"
    UNKNOWN = "unknown"
    """There is too little to judge by. Neither good nor bad."""
    FAILED = "failed"
    """The rule itself could not be evaluated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`value` and `threshold` are in `unit`; a `ratio` of 0.05 is 5%. Both are None where nothing could be judged.

    `reason` is a sentence with the figures in it, whatever the outcome.
    """

    group: Group
    outcome: Outcome
    severity: Severity
    reason: str
    unit: Unit
    value: Decimal | None = None
    threshold: Decimal | None = None


def format_figure(value: Decimal, unit: Unit) -> str:
    """`6.25%`, `$12.40`, `12.4 s`, `3.1x`, `212`."""
    match unit:
        case "ratio":
            return f"{_trim(value * 100, 2)}%"
        case "usd":
            return f"${_money(value)}"
        case "ms":
            return f"{_trim(value, 0)} ms" if value < 1_000 else f"{_trim(value / 1_000, 2)} s"
        case "times":
            return f"{_trim(value, 2)}x"
        case "count":
            return _trim(value, 2)
        case _:
            assert_never(unit)


def format_group(group: Group) -> str:
    """`provider=openai feature=chat`; empty for everything together."""
    return " ".join(f"{name}={'(none)' if value is None else _plain(value)}" for name, value in group)


def count(number: int, noun: str) -> str:
    """`1 call`, `212 calls`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _plain(value: str) -> str:
    """What an application said, on one line and not too long: it goes into titles, mails and logs."""
    text = "".join(character if character.isprintable() else " " for character in value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _money(value: Decimal) -> str:
    """To the cent; below one dollar to four digits, so that a small amount is not shown as nothing."""
    return f"{value:,.2f}" if value >= 1 or value == 0 else f"{value:.4f}"


def _trim(value: Decimal, digits: int) -> str:
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
