"""One provider's price list, as the data file has it: models, the rules their names meet, their dated entries.

A list is indexed when its provider is first asked for, and a model's entries are worked out when the model is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from outlay.prices.entry import ALWAYS_NS, NEVER_NS, Entry, Period, entry_id, read_rates
from outlay.prices.match import Rule, holds

_PRESUMED_AFTER: Final = timedelta(days=366)
"""How long after the book was checked its prices are still taken to hold."""


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model of a price list: the rules that its names meet, and its dated entries, of which the last to hold wins."""

    id: str
    rules: tuple[Rule, ...]
    entries: tuple[Entry, ...]


class PriceList:
    """One provider's models. Compiles a model the first time it is asked for."""

    def __init__(self, provider: str, raw: Mapping[str, Any], book: Mapping[str, Any]) -> None:
        self.provider = provider
        self.falls_back_to: tuple[str, ...] = tuple(raw.get("falls_back_to", ()))
        self._raw: list[Mapping[str, Any]] = raw["models"]
        self._book = book
        self._compiled: dict[int, ListedModel] = {}
        self._exact = {
            rule[1]: position
            for position in range(len(self._raw) - 1, -1, -1)
            for rule in self._raw[position]["match"]
            if rule[0] == "="
        }

    def find(self, name: str) -> ListedModel | None:
        """The model of that name: one listed under it exactly, else the first whose wider rules it meets."""
        if (position := self._exact.get(name)) is not None:
            return self.model(position)
        for position, raw in enumerate(self._raw):
            if any(rule[0] != "=" and holds(_rule(rule), name) for rule in raw["match"]):
                return self.model(position)
        return None

    def model(self, position: int) -> ListedModel:
        if position not in self._compiled:
            raw = self._raw[position]
            self._compiled[position] = ListedModel(
                raw["id"],
                tuple(map(_rule, raw["match"])),
                tuple(_entry(f"{self.provider}/{raw['id']}", entry, self._book) for entry in raw["prices"]),
            )
        return self._compiled[position]

    def models(self) -> Iterable[ListedModel]:
        return (self.model(position) for position in range(len(self._raw)))


def _rule(raw: Sequence[Any]) -> Rule:
    operator, text = raw
    return (operator, text) if isinstance(text, str) else (operator, tuple(map(_rule, text)))


def _entry(name: str, raw: Mapping[str, Any], book: Mapping[str, Any]) -> Entry:
    since = raw.get("from", "")[:10] or None
    return Entry(
        name=name,
        since=since,
        source=book["sources"][raw.get("source", 0)],
        period=Period(
            _ns(raw["from"]) if "from" in raw else ALWAYS_NS,
            _ns(raw["until"]) if "until" in raw else NEVER_NS,
            tuple((_second(start), _second(end)) for start, end in raw.get("hours", ())),
            frozenset(raw.get("weekdays", ())),
        ),
        table=read_rates(raw["rates"]),
        id=entry_id(name, since, {key: value for key, value in raw.items() if key != "source"}),
        inferred=raw.get("inferred"),
        presumed_from_ns=_ns((date.fromisoformat(book["checked"]) + _PRESUMED_AFTER).isoformat()),
    )


def _ns(moment: str) -> int:
    at = datetime.fromisoformat(moment)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()) * 10**9


def _second(clock: str) -> int:
    at = time.fromisoformat(clock)
    return at.hour * 3600 + at.minute * 60 + at.second
