"""The price book: from provider, model, time and terms to a price, and from a usage to a cost.

The data is compiled by `scripts/build_prices.py` into `data/prices.json`; nothing is read before the first question,
and an entry is worked out when its model is first asked for. The user's entries come after ours and win.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

from outlay.model import STANDARD_TERMS, Cost, CostStatus, Terms, Usage
from outlay.prices.cost import MOST_USD, contradiction, cost_of, nano_usd
from outlay.prices.entry import NEVER_NS, ONE, Entry, Period
from outlay.prices.match import is_certain, names_of, without_date
from outlay.prices.overrides import Override
from outlay.prices.price import EXACTLY, Price, Unpriced
from outlay.prices.pricelist import ListedModel, PriceList
from outlay.providers.registry import canonical_provider

_DATA: Final = Path(__file__).parent / "data" / "prices.json"
_NAMES_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class _Listing:
    """All that bears on one model: its entries, the last that holds wins; discounts likewise."""

    name: str
    entries: tuple[Entry, ...]
    discounts: tuple[tuple[Period, Decimal], ...] = ()

    def factor(self, at_ns: int) -> Decimal:
        """What the rates are multiplied by at a time: 1 less the discount."""
        if not self.discounts:
            return ONE
        return next((factor for period, factor in reversed(self.discounts) if period.holds(at_ns)), ONE)


class PriceBook:
    """Prices by provider, model, time and terms. Immutable, and safe to share between threads."""

    def __init__(self, read: Callable[[], Mapping[str, Any]], overrides: tuple[Override, ...] = ()) -> None:
        self._read = read
        self._overrides = overrides
        self._lists: dict[str, PriceList] = {}
        self._listings: dict[tuple[str, str], _Listing | Unpriced] = {}

    @classmethod
    def bundled(cls) -> PriceBook:
        """The book that came with this version. Its data is read when it is first used."""
        return _bundled()

    @classmethod
    def empty(cls) -> PriceBook:
        """A book that knows no price but those it is overridden with."""
        return cls(lambda: {"checked": date.min.isoformat(), "lists": {}})

    def overridden(self, overrides: Sequence[Override]) -> PriceBook:
        """This book with a user's entries on top; a later entry wins over an earlier one."""
        return PriceBook(self._read, (*self._overrides, *overrides))

    @property
    def checked(self) -> date:
        """The day the data was last checked against its sources."""
        return date.fromisoformat(self._read()["checked"])

    @property
    def description(self) -> str:
        """Which book this is, in words: when it was checked, and how many of the user's entries are on top."""
        return f"checked {self.checked}, {len(self._overrides)} own entries"

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers that have a price list of their own."""
        return tuple(name for name, raw in self._read()["lists"].items() if raw["models"])

    def models(self, provider: str) -> Iterable[ListedModel]:
        """Every model of a provider's list; a user's own entries are not among them."""
        price_list = self._list(provider)
        return price_list.models() if price_list else ()

    def cost(
        self,
        usage: Usage | None,
        *,
        provider: str,
        model: str | None,
        at_ns: int,
        terms: Terms = STANDARD_TERMS,
        provider_cost_usd: Decimal | None = None,
        reason_unread: str | None = None,
    ) -> Cost:
        """What a call cost. Always an answer: where there is no figure the status says so and the reason why.

        A cost the provider reports itself is believed; ours stands beside it in `computed_nano_usd` with its lines.
        """
        ours = self._computed(usage, provider, model, at_ns, terms, reason_unread)
        if provider_cost_usd is None or not (provider_cost_usd.is_finite() and 0 <= provider_cost_usd <= MOST_USD):
            return ours
        return replace(
            ours,
            nano_usd=nano_usd(provider_cost_usd),
            status=CostStatus.PROVIDER_REPORTED,
            computed_nano_usd=ours.nano_usd,
        )

    def _computed(
        self, usage: Usage | None, provider: str, model: str | None, at_ns: int, terms: Terms, unread: str | None
    ) -> Cost:
        if usage is None:
            return Cost.unpriced(unread or "the provider reported no usage")
        if wrong := contradiction(usage):
            return Cost.unpriced(wrong)
        parts = [(usage, self._price(usage, provider, model, at_ns, terms))]
        for name, part in usage.other_models.items():
            parts.append((part, self._price(part, provider, name, at_ns, terms)))
        return cost_of(parts)

    def _price(self, usage: Usage, provider: str, model: str | None, at_ns: int, terms: Terms) -> Price | Unpriced:
        tokens = usage.input_tokens or 0
        return self.find(provider=provider, model=model, at_ns=at_ns, terms=terms, input_tokens=tokens)

    def find(
        self,
        *,
        provider: str,
        model: str | None,
        at_ns: int,
        terms: Terms = STANDARD_TERMS,
        input_tokens: int = 0,
    ) -> Price | Unpriced:
        """The price of a call. `input_tokens` is the total input, cached tokens included: it decides the size tier."""
        if not model:
            return Unpriced("the model is not known")
        listing = self._listing(provider, model)
        if isinstance(listing, Unpriced):
            return listing
        for entry in reversed(listing.entries):
            if entry.period.holds(at_ns):
                price = entry.price(terms, input_tokens, listing.factor(at_ns))
                return price if at_ns < entry.presumed_from_ns else _presumed(price, entry)
        return Unpriced(f"{listing.name} has no price at {_moment(at_ns)}")

    def same_until_ns(self, provider: str, model: str | None, at_ns: int) -> int:
        """Until when `find` goes on to answer as it does at `at_ns`: no later than any price of the model changes."""
        listing = self._listing(provider, model) if model else None
        if not isinstance(listing, _Listing):
            return NEVER_NS
        periods = [*(entry.period for entry in listing.entries), *(period for period, _ in listing.discounts)]
        presumed = (entry.presumed_from_ns for entry in listing.entries if entry.presumed_from_ns > at_ns)
        return min([NEVER_NS, *presumed, *(period.same_until_ns(at_ns) for period in periods)])

    def _listing(self, provider: str, model: str) -> _Listing | Unpriced:
        key = (provider, model)
        listing = self._listings.get(key)
        if listing is None:
            if len(self._listings) >= _NAMES_REMEMBERED:  # names come from outside: what is kept of them is bounded
                self._listings.clear()
            listing = self._listings[key] = self._resolve(canonical_provider(provider), model)
        return listing

    def _resolve(self, provider: str, model: str, aliases: int = 0) -> _Listing | Unpriced:
        ours = self._bundled_listing(provider, model)
        entries = list(ours.entries) if isinstance(ours, _Listing) else []
        discounts: list[tuple[Period, Decimal]] = []
        for override in self._overrides:
            if not override.applies_to(provider, model):
                continue
            if override.discount is not None:
                discounts.append((override.period, EXACTLY.subtract(ONE, override.discount)))
            if override.same_as is None:
                entries += [override.entry(provider, model)] if override.rates else []
                continue
            target_provider, target = override.same_as
            target_provider = provider if target_provider == "*" else target_provider
            listing = (
                self._bundled_listing(target_provider, target)
                if (target_provider, target) == (provider, model) or aliases > 4
                else self._resolve(target_provider, target, aliases + 1)
            )
            if isinstance(listing, Unpriced):
                return Unpriced(f"{override.source} makes {model} the same as {target}: {listing.reason}")
            entries += [override.renamed(entry) for entry in listing.entries]
            discounts += listing.discounts
        if not entries and isinstance(ours, Unpriced):
            return ours
        return _Listing(f"{provider}/{model}", tuple(entries), tuple(discounts))

    def _bundled_listing(self, provider: str, model: str) -> _Listing | Unpriced:
        price_list = self._list(provider)
        if price_list is None:
            return self._through(provider, model)
        for name in names_of(model):
            if reached := self._reach(price_list, name):
                owner, found = reached
                return _Listing(found.id, tuple(_as_reached(found, name, owner, price_list)))
        for name in filter(None, map(without_date, names_of(model))):
            if reached := self._reach(price_list, name):
                reason = f"{provider} lists no snapshot {model}: the price of {name} was used"
                return _Listing(reached[1].id, tuple(replace(entry, inferred=reason) for entry in reached[1].entries))
        return Unpriced(f"no price for {provider}/{model}: give it a [[price]] entry")

    def _through(self, gateway: str, model: str) -> _Listing | Unpriced:
        """The price behind a gateway that says in the model's name whose it is (`openai/gpt-4o`): its own fee apart."""
        owner, _, name = model.partition("/")
        if name and self._list(canonical_provider(owner)):
            listing = self._bundled_listing(canonical_provider(owner), name)
            if isinstance(listing, _Listing):
                reason = f"no price list for provider {gateway}: that of {owner} was used"
                return replace(listing, entries=tuple(replace(entry, inferred=reason) for entry in listing.entries))
        return Unpriced(f"no price list for provider {gateway}: give {model} a [[price]] entry")

    def _reach(self, price_list: PriceList, name: str) -> tuple[PriceList, ListedModel] | None:
        """The model of that name in a list or, for a platform that sells others' models, in theirs."""
        for owner in (price_list, *filter(None, map(self._list, price_list.falls_back_to))):
            if found := owner.find(name):
                return owner, found
        return None

    def _list(self, provider: str) -> PriceList | None:
        price_list = self._lists.get(provider)
        if price_list is None and (raw := self._read()["lists"].get(provider)):
            if owner := raw.get("same_as"):
                return self._list(owner)
            price_list = self._lists[provider] = PriceList(provider, raw, self._read())
        return price_list


def _as_reached(model: ListedModel, name: str, owner: PriceList, reached_in: PriceList) -> Iterable[Entry]:
    """A model's entries, with what had to be assumed to come to them by this name through this list."""
    inferred = None
    if not is_certain(model.rules, name):
        inferred = f"{owner.provider} lists no {name}: the price of {model.id} was used"
    tiers = None
    if owner is not reached_in:
        tiers = f"{reached_in.provider} lists no tier prices of {model.id}: those of {owner.provider} were used"
    return (replace(entry, inferred=inferred or entry.inferred, tiers_inferred=tiers) for entry in model.entries)


def _presumed(price: Price, entry: Entry) -> Price:
    reason = f"the price was last checked over a year before the call ({entry.source})"
    return replace(price, inferred="; ".join(filter(None, (price.inferred, reason))))


def _moment(at_ns: int) -> str:
    try:
        return f"{datetime.fromtimestamp(at_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return f"{at_ns} ns, which is no date"


@cache
def _read_data() -> Mapping[str, Any]:
    data: dict[str, Any] = json.loads(_DATA.read_bytes())
    return data


@cache
def _bundled() -> PriceBook:
    return PriceBook(_read_data)
