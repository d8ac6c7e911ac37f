"""The user's own prices: negotiated rates, discounts, free local models, and what deployments are called.

An entry says for which provider and model it speaks, from when until when, and any of three things: rates (the flat
table of `entry`), `same_as` (the model whose price this name has; rates beside it change only those), and `discount`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Final

from outlay.errors import ConfigError, nearest
from outlay.prices.entry import ALWAYS, ALWAYS_NS, NEVER_NS, BadRate, Entry, Period, RateTable, entry_id, read_rates
from outlay.prices.match import names_of
from outlay.providers.registry import canonical_provider

_OWN_KEYS: Final = ("provider", "model", "from", "until", "same_as", "discount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One `[[price]]` entry. `model` may hold `*`; `rates` is a flat table; `discount` a fraction, 0.15 for 15 %.

    `same_as` is the (provider, model) whose price this one has. `source` says where the entry stands.
    """

    provider: str
    model: str = "*"
    period: Period = ALWAYS
    rates: Mapping[str, object] = field(default_factory=dict)
    same_as: tuple[str, str] | None = None
    discount: Decimal | None = None
    source: str = "override"

    def applies_to(self, provider: str, model: str) -> bool:
        wanted = self.model.lower()
        return self.provider in ("*", provider) and any(fnmatchcase(name, wanted) for name in names_of(model))

    def entry(self, provider: str, model: str) -> Entry:
        """The dated price these rates are for a model."""
        name = f"{provider}/{model}"
        since = _day(self.period)
        return Entry(
            name=name,
            since=since,
            source=self.source,
            period=self.period,
            table=read_rates(self.rates),
            id=entry_id(name, since, dict(self.rates)),
        )

    def renamed(self, entry: Entry) -> Entry:
        """Another model's price as this one's: within this entry's period, with this entry's rates in place of its."""
        if not self.rates:
            return replace(entry, period=entry.period.clipped(self.period))
        return replace(
            entry,
            period=entry.period.clipped(self.period),
            table=_merged(entry.table, read_rates(self.rates)),
            id=entry_id(entry.name, entry.since, [entry.id, dict(self.rates)]),
            source=f"{self.source} over {entry.source}",
        )


def _merged(under: RateTable, over: RateTable) -> RateTable:
    rates = {tier: dict(units) for tier, units in under.rates.items()}
    for tier, units in over.rates.items():
        rates.setdefault(tier, {}).update(units)
    return RateTable(rates, {**under.regions, **over.regions})


def _day(period: Period) -> str | None:
    if period.from_ns == ALWAYS_NS:
        return None
    return datetime.fromtimestamp(period.from_ns // 10**9, UTC).date().isoformat()


def read_overrides(entries: Sequence[Mapping[str, object]], source: str) -> tuple[Override, ...]:
    """Reads `[[price]]` entries. Raises `ConfigError` naming the entry, its key, the value and what would be right."""
    return tuple(_read(entry, f"price[{position}]", source) for position, entry in enumerate(entries))


def _read(entry: Mapping[str, object], path: str, source: str) -> Override:
    def wrong(key: str, expected: str) -> ConfigError:
        return ConfigError(source, f"{path}.{key}", entry.get(key), expected)

    rates = {key: value for key, value in entry.items() if key not in _OWN_KEYS}
    try:
        read_rates(rates)
    except BadRate as bad:
        near = nearest(bad.key, _OWN_KEYS)
        raise wrong(bad.key, f"a rate or a key of a price{near}" if near else bad.expected) from None
    provider = entry.get("provider")
    if not isinstance(provider, str) or not provider:
        raise wrong("provider", 'the name of a provider, such as "openai", or "*" for all')
    discount = _read_discount(entry.get("discount"))
    if discount is None and "discount" in entry:
        raise wrong("discount", "a fraction from 0 to 1, such as 0.15 for 15 %")
    model = entry.get("model", "*" if discount is not None and not rates else None)
    if not isinstance(model, str) or not model:
        raise wrong("model", 'the name of a model or deployment; "*" for all of the provider\'s')
    same_as = _read_same_as(entry.get("same_as"), provider)
    if same_as is None and "same_as" in entry:
        raise wrong("same_as", 'a model\'s name, or { provider = "openai", model = "gpt-4o" }')
    if not rates and same_as is None and discount is None:
        raise wrong("input", "a rate in USD per million tokens, same_as, or discount")
    return Override(
        provider=canonical_provider(provider),
        model=model,
        period=_read_period(entry, wrong),
        rates={key: str(value) for key, value in rates.items()},
        same_as=same_as,
        discount=discount,
        source=f"{source} {path}",
    )


def _read_period(entry: Mapping[str, object], wrong: Callable[[str, str], ConfigError]) -> Period:
    moments = {"from": ALWAYS_NS, "until": NEVER_NS}
    for key in moments:
        if key in entry:
            moment = _read_moment(entry[key])
            if moment is None:
                raise wrong(key, "a date or a time with its offset, such as 2026-07-01 or 2026-07-01T09:00:00Z")
            moments[key] = moment
    if moments["from"] >= moments["until"]:
        raise wrong("until", f"a time after from ({entry.get('from')})")
    return Period(moments["from"], moments["until"])


def _read_discount(value: object) -> Decimal | None:
    try:
        discount = Decimal(str(value))
    except InvalidOperation:
        return None
    return discount if discount.is_finite() and 0 <= discount <= 1 and not isinstance(value, bool) else None


def _read_same_as(value: object, provider: str) -> tuple[str, str] | None:
    if isinstance(value, str) and value:
        return canonical_provider(provider), value
    if isinstance(value, Mapping) and set(value) == {"provider", "model"}:
        return canonical_provider(str(value["provider"])), str(value["model"])
    return None


def _read_moment(value: object) -> int | None:
    """Nanoseconds of a TOML date, a TOML time or their text; a date is its midnight in UTC, a time needs its offset."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value) if "T" in value or " " in value else date.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return int(value.timestamp()) * 10**9 if value.tzinfo else None
    if isinstance(value, date):
        return int(datetime.combine(value, time(), UTC).timestamp()) * 10**9
    return None
