"""One dated price of one model, and what it comes to for one call.

An entry is written as a flat table, the same in our data files, in `outlay.toml` and in `outlay price`: a unit's name
is its standard rate; `_batch`, `_flex`, `_priority` or `_fast` after it is the rate of that tier; `_above_272000` the
rate once the whole input passes that many tokens; `multiplier_inference_geo_us` what a region multiplies token rates
by. Here such a table becomes a `Price`: one rate a unit, with nothing left to decide.

    {"input": "2.5", "output": "15", "input_above_272000": "5", "input_batch": "1.25", "web_search_per_1k": "10"}
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation, localcontext
from typing import Final

from outlay.errors import nearest
from outlay.model import Terms
from outlay.prices.price import EXACTLY, Price
from outlay.units import INPUT_UNITS, OUTPUT_UNITS, UNITS

TIERS: Final = ("batch", "flex", "priority", "fast", "ultrafast")
STANDARD: Final = ""
_STANDARD_TIERS: Final = frozenset({None, "", "default", "standard", "auto", "on_demand"})
_MULTIPLIED_BY_REGION: Final = INPUT_UNITS | OUTPUT_UNITS | {"reasoning"}
_REGION_KEY: Final = "multiplier_inference_geo_"
_SUFFIX: Final = re.compile(rf"_(?:(?P<tier>{'|'.join(TIERS)})|above_(?P<above>[0-9]+))$")
_PER_SUFFIX: Final = {1_000: "_per_1k", 1_000_000: "_per_1m", 1: "_each"}
ONE: Final = Decimal(1)
ALWAYS_NS: Final = -(2**63)
NEVER_NS: Final = 2**63 - 1
_DAY_S: Final = 86_400
_DEAREST_USD: Final = 1_000_000_000


class BadRate(ValueError):
    """A key or value of a flat table that cannot be used. `key`, `value` and `expected` say which and why."""

    def __init__(self, key: str, value: object, expected: str) -> None:
        super().__init__(f"{key} = {value!r}: expected {expected}")
        self.key = key
        self.value = value
        self.expected = expected


@dataclass(frozen=True, slots=True)
class RateTable:
    """A flat table, read. `rates[tier][unit]` ascends by threshold and starts at 0, `regions` are multipliers."""

    rates: Mapping[str, Mapping[str, tuple[tuple[int, Decimal], ...]]]
    regions: Mapping[str, Decimal]

    def flat(self) -> dict[str, str]:
        """The table as it is written: what `read_rates` read."""
        rates = {
            "_".join(filter(None, (unit, tier, f"above_{threshold}" if threshold else ""))): f"{rate:f}"
            for tier, units in self.rates.items()
            for unit, series in units.items()
            for threshold, rate in series
        }
        return rates | {f"{_REGION_KEY}{region}": f"{factor:f}" for region, factor in self.regions.items()}

    def thresholds(self) -> tuple[int, ...]:
        """Every number of input tokens above which some rate changes, ascending, 0 first."""
        steps = {step for units in self.rates.values() for series in units.values() for step, _ in series}
        return tuple(sorted(steps | {0}))

    def at(self, tier: str, threshold: int) -> dict[str, Decimal]:
        """The rate of every unit on a tier once the input has passed a threshold.

        A unit without a rate of its own on the tier takes the tier's rate of the unit that stands in for it, before
        the standard one: a cached token of a batch costs what the batch's input costs unless a cached batch rate is
        published. A tier's rate with no threshold of its own moves with the standard rate: the two stack.
        """
        return {unit: rate for unit in UNITS if (rate := self._rate(unit, tier, threshold)) is not None}

    def _rate(self, unit: str, tier: str, threshold: int) -> Decimal | None:
        standard = self.rates.get(STANDARD, {})
        chain = (unit, *UNITS[unit].falls_back_to)
        if unit == "output_image" and "input_image" in standard:
            chain = (unit, "output")  # an image model's one output rate is that of its images
        if tier != STANDARD:
            for name in chain:
                if series := self.rates[tier].get(name):
                    stacked = series[-1][0] == 0 and name in standard
                    factor = _growth(standard[name], threshold) if stacked else ONE
                    return _last(series, threshold) * factor
        return next((_last(standard[name], threshold) for name in chain if name in standard), None)


def _last(series: tuple[tuple[int, Decimal], ...], threshold: int) -> Decimal:
    return next(rate for step, rate in reversed(series) if step <= threshold)


def _growth(series: tuple[tuple[int, Decimal], ...], threshold: int) -> Decimal:
    base = series[0][1]
    return _last(series, threshold) / base if base else ONE


def read_rates(table: Mapping[str, object]) -> RateTable:
    """Reads a flat table. Raises `BadRate` for a key it does not know or a rate that is not a number from 0 up."""
    rates: dict[str, dict[str, dict[int, Decimal]]] = {STANDARD: {}}
    regions: dict[str, Decimal] = {}
    for key, value in table.items():
        if key.startswith(_REGION_KEY):
            regions[key.removeprefix(_REGION_KEY)] = _read_rate(key, value)
            continue
        unit, tier, above = _read_key(key, value)
        rates.setdefault(tier, {}).setdefault(unit, {})[above] = _read_rate(key, value)
    for tier, units in rates.items():
        for unit, series in units.items():
            if 0 not in series:
                suffix = f"_{tier}" if tier else ""
                raise BadRate(
                    f"{unit}{suffix}_above_{min(series)}", str(series[min(series)]), f"{unit}{suffix} beside it"
                )
    ordered = {tier: {unit: tuple(sorted(s.items())) for unit, s in units.items()} for tier, units in rates.items()}
    return RateTable(ordered, regions)


def _read_key(key: str, value: object) -> tuple[str, str, int]:
    """`input_batch_above_272000` -> ("input", "batch", 272000); the order of the suffixes is free."""
    name, tier, above = key, STANDARD, 0
    while found := _SUFFIX.search(name):
        name = name[: found.start()]
        tier = found["tier"] or tier
        above = int(found["above"]) if found["above"] else above
    for per, suffix in _PER_SUFFIX.items():
        bare = name.removesuffix(suffix)
        if bare != name and bare in UNITS and UNITS[bare].per == per:
            name = bare
    if name not in UNITS:
        raise BadRate(key, value, f"a unit's name{nearest(name, UNITS) or ': one of ' + ', '.join(UNITS)}")
    return name, tier, above


def _read_rate(key: str, value: object) -> Decimal:
    try:
        if isinstance(value, bool):
            raise InvalidOperation
        rate = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        raise BadRate(key, value, "a number of USD") from None
    if not rate.is_finite() or not 0 <= rate <= _DEAREST_USD:
        raise BadRate(key, value, f"a number of USD from 0 to {_DEAREST_USD:,}")
    return rate


def tier_of(terms: Terms) -> str:
    """Which tier's rates terms ask for, `""` for the standard ones. A name we do not know is returned as it is."""
    if terms.batch:
        return "batch"
    if terms.speed not in _STANDARD_TIERS:
        return str(terms.speed)
    return STANDARD if terms.service_tier in _STANDARD_TIERS else str(terms.service_tier)


@dataclass(frozen=True, slots=True)
class Period:
    """When an entry holds: [from, until) in nanoseconds UTC, and within it daily hours on weekdays, where given.

    `hours` are seconds of the UTC day, half-open; `weekdays` are 0 (Monday) to 6, empty for every day.
    """

    from_ns: int = ALWAYS_NS
    until_ns: int = NEVER_NS
    hours: tuple[tuple[int, int], ...] = ()
    weekdays: frozenset[int] = frozenset()

    def holds(self, at_ns: int) -> bool:
        if not self.from_ns <= at_ns < self.until_ns:
            return False
        if not self.hours and not self.weekdays:
            return True
        day, second = divmod(at_ns // 1_000_000_000, _DAY_S)
        if self.weekdays and (day + 3) % 7 not in self.weekdays:  # 1970-01-01 was a Thursday
            return False
        return not self.hours or any(_within(second, start, end) for start, end in self.hours)

    def same_until_ns(self, at_ns: int) -> int:
        """Until when `holds` goes on to answer as it does at `at_ns`: a second ahead where there are hours or days."""
        later = min((edge for edge in (self.from_ns, self.until_ns) if edge > at_ns), default=NEVER_NS)
        if not self.hours and not self.weekdays:
            return later
        return min(later, (at_ns // 1_000_000_000 + 1) * 1_000_000_000)

    def clipped(self, other: Period) -> Period:
        """The part of this period inside another's dates."""
        return Period(max(self.from_ns, other.from_ns), min(self.until_ns, other.until_ns), self.hours, self.weekdays)


ALWAYS: Final = Period()


def _within(second: int, start: int, end: int) -> bool:
    return start <= second < end if start <= end else second >= start or second < end


@dataclass(frozen=True, slots=True)
class Entry:
    """A dated price of one model: `name` is `provider/model`, `since` its first day or None, `table` the flat table."""

    name: str
    since: str | None
    source: str
    period: Period
    table: RateTable
    id: str
    presumed_from_ns: int = NEVER_NS
    inferred: str | None = None
    tiers_inferred: str | None = None
    _prices: dict[tuple[str, str | None, Decimal], tuple[tuple[int, Price], ...]] = field(
        init=False, default_factory=dict, repr=False, compare=False
    )

    def price(self, terms: Terms, input_tokens: int, factor: Decimal = ONE) -> Price:
        """The price for a call on those terms. `factor` is 1 less the discount."""
        key = (tier_of(terms), terms.region, factor)
        steps = self._prices.get(key)
        if steps is None:
            with localcontext(EXACTLY):
                steps = self._prices[key] = tuple(self._compile(*key))
        if len(steps) == 1:
            return steps[0][1]
        return next((price for threshold, price in reversed(steps) if input_tokens > threshold), steps[0][1])

    def _compile(self, asked: str, region: str | None, factor: Decimal) -> Iterable[tuple[int, Price]]:
        tier, reasons = self._served(asked)
        multiplier = ONE
        if region is not None and self.table.regions:
            if region in self.table.regions:
                multiplier = self.table.regions[region]
            elif region != "global":
                reasons.append(f"no multiplier is known for region {region}: the price without one was used")
        identity = self.id if factor == ONE else f"{self.id}*{factor.normalize():f}"
        for threshold in self.table.thresholds():
            rates = {
                unit: rate * factor * (multiplier if unit in _MULTIPLIED_BY_REGION else ONE)
                for unit, rate in self.table.at(tier, threshold).items()
            }
            yield threshold, Price(identity, self.source, rates, "; ".join(reasons) or None)

    def _served(self, asked: str) -> tuple[str, list[str]]:
        """The tier whose rates stand for the one asked for, and what that assumes."""
        reasons = [self.inferred] if self.inferred else []
        tier = "priority" if asked == "fast" and "fast" not in self.table.rates else asked
        if tier not in self.table.rates:
            reasons.append(f"{self.name} has no price for tier {asked}: the standard one was used")
            return STANDARD, reasons
        if tier != STANDARD and self.tiers_inferred:
            reasons.append(self.tiers_inferred)
        return tier, reasons


def entry_id(name: str, since: str | None, content: object) -> str:
    """`openai/o3@2025-06-10#1f2e3d4c`: the same entry has the same id wherever and whenever it was built."""
    digest = hashlib.blake2s(json.dumps(content, sort_keys=True, default=str).encode(), digest_size=4).hexdigest()
    return f"{name}@{since}#{digest}" if since else f"{name}#{digest}"
