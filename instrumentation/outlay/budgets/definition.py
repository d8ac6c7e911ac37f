"""Reads budgets as people write them: a `[[budget]]` of outlay.toml, or a body of the API with the same keys.

Every mistake is a `ConfigError` that names the entry and the key (`budget[0].limit`), the value, and what would be
right; a misspelt word is answered with the nearest one there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar, get_args

from outlay.budgets.budget import (
    DIMENSIONS,
    TAG_PREFIX,
    TRACE,
    UNITS,
    Budget,
    Limit,
    OnLimit,
    Uncapped,
    Unit,
    Unpriced,
    WhenUnreachable,
)
from outlay.budgets.period import CALENDAR, Period
from outlay.errors import ConfigError, nearest
from outlay.model import NANO_USD_PER_USD

_KEYS: Final = (
    "name", "limit", "period", "timezone", "match", "per", "thresholds", "on_limit", "when_unreachable", "unpriced",
    "uncapped",
)  # fmt: skip
_DIMENSIONS: Final = (*DIMENSIONS, TRACE)
_MAX_NAME: Final = 200
_MAX_AMOUNT: Final = 2**63 - 1
Word = TypeVar("Word", bound=str)


def read_budgets(entries: Sequence[Mapping[str, Any]], source: str) -> tuple[Budget, ...]:
    """The budgets of those entries, in their order. `source` is the file they stand in, for messages."""
    budgets: dict[str, Budget] = {}
    for index, entry in enumerate(entries):
        budget = read_budget(entry, source, f"budget[{index}].")
        if budget.name in budgets:
            raise ConfigError(source, f"budget[{index}].name", budget.name, "a name no other budget has")
        budgets[budget.name] = budget
    return tuple(budgets.values())


def read_budget(entry: Mapping[str, Any], source: str, path: str = "") -> Budget:
    """One budget. `path` is what its keys are prefixed with in messages."""
    return _Entry(entry, source, path).budget()


def read_limit(limit: Any, source: str) -> Limit:
    """A limit by itself, as it stands in an entry."""
    return _Entry({"limit": limit}, source, "").limit()


class _Entry:
    """One entry being read; knows where it stands, so that every complaint can say so."""

    def __init__(self, entry: Mapping[str, Any], source: str, path: str) -> None:
        self._entry = entry
        self._source = source
        self._path = path

    def budget(self) -> Budget:
        for key in self._entry:
            if key not in _KEYS:
                raise self._wrong(key, self._entry[key], f"a key of a budget{nearest(key, _KEYS)}")
        return Budget(
            name=self._name(),
            limit=self.limit(),
            period=self._period(),
            match=self._match(),
            per=self._per(),
            thresholds=self._thresholds(),
            on_limit=self._word("on_limit", get_args(OnLimit), "block"),
            when_unreachable=self._word("when_unreachable", get_args(WhenUnreachable), "open"),
            unpriced=self._word("unpriced", get_args(Unpriced), "pass"),
            uncapped=self._word("uncapped", get_args(Uncapped), "maximum"),
        )

    def _wrong(self, key: str, value: Any, expected: str) -> ConfigError:
        return ConfigError(self._source, f"{self._path}{key}", value, expected)

    def _name(self) -> str:
        name = self._entry.get("name")
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME or "/" in name or not name.isprintable():
            raise self._wrong("name", name, f"a name of 1 to {_MAX_NAME} printable characters without a slash")
        return name

    def limit(self) -> Limit:
        limit = self._entry.get("limit")
        if not isinstance(limit, Mapping) or len(limit) != 1:
            raise self._wrong("limit", limit, "one of { usd = 5.00 }, { tokens = 1_000_000 }, { calls = 10_000 }")
        unit, value = next(iter(limit.items()))
        if unit not in UNITS:
            raise self._wrong(f"limit.{unit}", value, f"one of {', '.join(UNITS)}{nearest(unit, UNITS)}")
        return Limit(unit, self._amount(unit, value))

    def _amount(self, unit: Unit, value: Any) -> int:
        try:
            number = Decimal(str(value).replace(",", "")) if not isinstance(value, bool) else Decimal("NaN")
            amount = number * NANO_USD_PER_USD if unit == "usd" else number
            if amount.is_finite() and 0 <= amount <= _MAX_AMOUNT and amount == int(amount):
                return int(amount)
        except InvalidOperation:
            pass
        what = "an amount of USD, zero or more, to the nano-dollar" if unit == "usd" else "a whole number, zero or more"
        raise self._wrong(f"limit.{unit}", value, what)

    def _period(self) -> Period:
        text, zone = self._entry.get("period", "day"), self._entry.get("timezone", "UTC")
        if not isinstance(zone, str):
            raise self._wrong("timezone", zone, "a name such as UTC or Europe/Berlin")
        try:
            period = Period.read(text, zone) if isinstance(text, str) else None
        except (KeyError, ValueError, OSError):  # ZoneInfo's ways of saying that there is no such zone
            raise self._wrong(
                "timezone", zone, f"a time zone of the IANA database, such as Europe/Berlin{_zone(zone)}"
            ) from None
        if period is None:
            known = ", ".join(CALENDAR)
            raise self._wrong(
                "period", text, f"one of {known}, or a text such as 'rolling 24h'{nearest(text, CALENDAR)}"
            )
        return period

    def _match(self) -> dict[str, frozenset[str]]:
        match = self._entry.get("match", {})
        if not isinstance(match, Mapping):
            raise self._wrong("match", match, 'a table such as { feature = "chat" }')
        return {self._dimension(f"match.{name}", name): self._values(name, match[name]) for name in match}

    def _values(self, dimension: str, value: Any) -> frozenset[str]:
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list | tuple) or not values or not all(isinstance(v, str) and v for v in values):
            raise self._wrong(f"match.{dimension}", value, "a text or a list of texts")
        return frozenset(values)

    def _per(self) -> tuple[str, ...]:
        per = self._entry.get("per", [])
        if isinstance(per, str):
            per = [per]
        if not isinstance(per, list | tuple) or len(set(map(str, per))) != len(per):
            raise self._wrong("per", per, 'a list of dimensions, each once, such as ["user"]')
        return tuple(self._dimension(f"per[{index}]", name) for index, name in enumerate(per))

    def _dimension(self, key: str, name: Any) -> str:
        if isinstance(name, str) and (name in _DIMENSIONS or (name.startswith(TAG_PREFIX) and len(name) > 4)):
            return name
        raise self._wrong(key, name, f"one of {', '.join(DIMENSIONS)}, tag.NAME{nearest(name, DIMENSIONS)}")

    def _thresholds(self) -> tuple[float, ...]:
        shares = self._entry.get("thresholds", [0.8])
        if not isinstance(shares, list | tuple):
            raise self._wrong("thresholds", shares, "a list of shares of the limit, such as [0.5, 0.8]")
        for index, share in enumerate(shares):
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
                raise self._wrong(
                    f"thresholds[{index}]", share, "a share of the limit above 0 and up to 1, such as 0.8"
                )
        return tuple(sorted({float(share) for share in shares}))

    def _word(self, key: str, words: tuple[Word, ...], default: Word) -> Word:
        value = self._entry.get(key, default)
        for word in words:
            if value == word:
                return word
        raise self._wrong(key, value, f"one of {', '.join(words)}{nearest(value, words)}")


def _zone(zone: str) -> str:
    from zoneinfo import available_timezones  # reads the whole database: only for the message

    return nearest(zone, available_timezones())
