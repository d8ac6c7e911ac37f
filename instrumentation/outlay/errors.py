"""Every exception Outlay raises on purpose.

OutlayError
├── BudgetExceeded        a hard budget has no room for this call; nothing was sent
├── ConfigError           a setting, option or configuration entry cannot be used
└── NotInstrumentable     `instrument("x")` named an SDK that is missing, too old or unknown
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

RefusalReason = Literal["no_room", "unreachable", "unpriced", "untold"]


class OutlayError(Exception):
    """The root: catching it catches everything Outlay raises."""


class BudgetExceeded(OutlayError):
    """A hard budget has no room for this call. Raised before anything is sent to the provider.

    `scope` holds the values of the budget's `per` dimensions that ran out, `{}` for a budget shared by all.
    Amounts are USD, or None where the budget counts tokens or calls. `resets_at` is aware UTC, None for a rolling
    window. `reason`: `no_room` is left; or the budget is strict and the collector `unreachable`, the model `unpriced`,
    or the process still `untold` of its budgets.
    """

    def __init__(
        self,
        message: str,
        *,
        budget: str,
        scope: dict[str, str],
        limit_usd: Decimal | None,
        spent_usd: Decimal | None,
        reserved_usd: Decimal | None,
        resets_at: datetime | None,
        reason: RefusalReason = "no_room",
    ) -> None:
        super().__init__(message)
        self.budget = budget
        self.scope = scope
        self.limit_usd = limit_usd
        self.spent_usd = spent_usd
        self.reserved_usd = reserved_usd
        self.resets_at = resets_at
        self.reason = reason


class ConfigError(OutlayError):
    """A configured value cannot be used.

    `source` is the file or the word `environment`, `key` the path of the entry (`rule[0].above`), `expected` what
    would be right. The message holds all of them; values of secrets are never passed in.
    """

    def __init__(self, source: str, key: str, value: Any, expected: str) -> None:
        super().__init__(f"{source}: {key} = {value!r}: expected {expected}")
        self.source = source
        self.key = key
        self.value = value
        self.expected = expected


class NotInstrumentable(OutlayError):
    """An SDK that was asked for by name cannot be instrumented; the message says why and what would help."""


def nearest(value: object, known: Iterable[str]) -> str:
    """` (did you mean above?)` for a mistyped name, ready to be appended to a message; empty where nothing is near."""
    from difflib import get_close_matches  # only for messages: not worth its import otherwise

    found = get_close_matches(value, list(known), n=1) if isinstance(value, str) else []
    return f" (did you mean {found[0]}?)" if found else ""
