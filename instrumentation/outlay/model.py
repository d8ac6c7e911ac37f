"""The words all packages share: a call, what it used, what it cost, and who made it.

Plain frozen data with no behaviour beyond reading itself. Who fills these in is decided elsewhere: `providers` reads
responses into a `Usage`, `prices` makes a `Cost`, `intercept` a whole `Call`, and the collector's dialects read a
`Call` back from a span.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from outlay.records import record
from outlay.units import CACHE_READ_UNITS, CACHE_WRITE_UNITS, INPUT_UNITS, OUTPUT_UNITS, UNITS

NANO_USD_PER_USD: Final = 1_000_000_000
_SUMS: Final = (INPUT_UNITS, OUTPUT_UNITS, CACHE_READ_UNITS, CACHE_WRITE_UNITS, frozenset({"reasoning"}))
_PLACES: Final = {unit: tuple(place for place, units in enumerate(_SUMS) if unit in units) for unit in UNITS}
"""In which of the sums a unit counts."""
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})

Quantity = int | Decimal
"""How much of a unit: an int for what is counted (tokens, searches), a Decimal for what is measured (seconds)."""


class Totals(NamedTuple):
    """What the units of a usage add up to, in the order of `_SUMS`."""

    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None

    @property
    def prompt_cache(self) -> str:
        """What the provider's prompt cache did: `hit`, `write` or `none`."""
        return "hit" if self.cache_read_tokens else "write" if self.cache_write_tokens else "none"


@record(frozen=True, slots=True)
class Usage:
    """What one call used: units of `outlay.units` to quantities, disjoint but for `reasoning`, a detail of `output`.

    A unit the provider did not report is absent: unknown is never zero. `inferred` says in words which count was
    worked out rather than reported; a cost made from it is `estimated`.

    `other_models` holds what models besides the one that answered used within the same call (an advisor, an image
    tool), by model id. None of it is in `quantities` or in the totals below; all of it is billed, each at its own
    model's rates. On the wire it stands under `~models`.
    """

    quantities: Mapping[str, Quantity]
    inferred: str | None = None
    other_models: Mapping[str, Usage] = field(default_factory=lambda: _NOTHING)
    _totals: Totals | None = field(default=None, init=False, repr=False, compare=False)

    def totals(self) -> Totals:
        """The sums the properties below give, all at once; None where not one unit of a sum was reported. Added up when
        they are first asked for."""
        found = self._totals
        if found is None:
            found = _added_up(self.quantities)
            object.__setattr__(self, "_totals", found)
        return found

    @property
    def input_tokens(self) -> int | None:
        """Everything the model was given, cached and tool tokens included."""
        return self.totals().input_tokens

    @property
    def output_tokens(self) -> int | None:
        """Everything the model produced, reasoning included."""
        return self.totals().output_tokens

    @property
    def cache_read_tokens(self) -> int | None:
        return self.totals().cache_read_tokens

    @property
    def cache_write_tokens(self) -> int | None:
        return self.totals().cache_write_tokens

    @property
    def reasoning_tokens(self) -> int | None:
        return self.totals().reasoning_tokens


def _added_up(quantities: Mapping[str, Quantity]) -> Totals:
    sums: list[int | None] = [None] * len(_SUMS)
    for unit, quantity in quantities.items():
        whole = int(quantity)
        for place in _PLACES.get(unit, ()):
            sums[place] = whole + (sums[place] or 0)
    return Totals(*sums)


@record(frozen=True, slots=True)
class Terms:
    """What a price depends on besides the model and the date, as the provider says it served the call.

    `service_tier` is one of flex, priority, fast, ... and None for the standard tier; `speed` is Anthropic's fast mode;
    `region` is the place inference was held to (`us`, `eu`, ...), None where it was free.
    """

    service_tier: str | None = None
    batch: bool = False
    speed: str | None = None
    region: str | None = None


STANDARD_TERMS: Final = Terms()


class CostStatus(StrEnum):
    """How far a cost can be trusted."""

    EXACT = "exact"
    """The provider's own counts times the price valid when the call was made."""
    PROVIDER_REPORTED = "provider_reported"
    """The provider said what the call cost."""
    ESTIMATED = "estimated"
    """Some count or price was inferred; the reason says which."""
    PARTIAL = "partial"
    """A sum of what could be priced; the reason names what could not."""
    UNPRICED = "unpriced"
    """No figure at all; the reason says why. Never zero."""


@record(frozen=True, slots=True)
class CostLine:
    """One line of a bill: `quantity` of `unit` at `rate_usd` for each `per` of it. `cost_usd` is not rounded."""

    unit: str
    quantity: Quantity
    rate_usd: Decimal
    per: int
    cost_usd: Decimal


@record(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one call cost. `nano_usd` is None exactly where the status is `unpriced`.

    `computed_nano_usd` is our own figure where the provider's stands in `nano_usd` (status `provider_reported`).
    `price_id` names the entry of the price book, `source` where that entry comes from.
    """

    nano_usd: int | None
    status: CostStatus
    reason: str | None = None
    lines: Sequence[CostLine] = ()
    price_id: str | None = None
    source: str | None = None
    computed_nano_usd: int | None = None

    @classmethod
    def unpriced(cls, reason: str) -> Cost:
        return cls(nano_usd=None, status=CostStatus.UNPRICED, reason=reason)


NOT_PRICED: Final = Cost.unpriced("the call was not priced")
"""Of a call that nobody has looked up a price for."""


@record(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Who spends: each a dimension of every report. None is 'not said'."""

    service: str | None = None
    environment: str | None = None
    feature: str | None = None
    user: str | None = None
    tenant: str | None = None
    session: str | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


NOBODY: Final = Attribution()
"""Of which nothing was said."""


class ResponseCache(StrEnum):
    """What the application's own response cache did. A hit never reached the provider and costs nothing."""

    HIT = "hit"
    MISS = "miss"
    BYPASS = "bypass"


class StreamEnd(StrEnum):
    """How a streamed call came to its end."""

    DRAINED = "drained"
    CLOSED = "closed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    COLLECTED = "collected"


@record(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One HTTP try of a call. `status` is None where no response came; `error` then names the exception's class."""

    status: int | None
    duration_ms: float
    error: str | None = None
    retry_after_s: float | None = None


@record(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """Headroom of one limit as the provider's headers last said it; what a header did not say is None."""

    limit: int | None = None
    remaining: int | None = None
    reset_s: float | None = None


@record(frozen=True, slots=True)
class Content:
    """What was said in a call, in the form in which it may leave the process: JSON of the shape OpenTelemetry's GenAI
    conventions give messages. `mode` is `redacted` or `full`."""

    mode: str
    system: str | None = None
    input: str | None = None
    output: str | None = None


@record(frozen=True, slots=True, kw_only=True)
class Call:
    """One billable request to a provider, its retries included.

    Times are nanoseconds since the epoch, UTC. `error_type` is None for a call that succeeded, else a class name or an
    HTTP status as text. `usage_raw` is the provider's own usage object, kept so that history can be read and priced
    again. `reason_unread` says why `usage` is None where a response came. `avoided_nano_usd` is what a hit in the
    application's response cache would have cost.
    """

    provider: str
    operation: str
    model_requested: str | None
    started_at_ns: int
    ended_at_ns: int
    model_served: str | None = None
    response_id: str | None = None
    request_id: str | None = None
    server_address: str | None = None
    streamed: bool = False
    stream_end: StreamEnd | None = None
    time_to_first_chunk_ms: float | None = None
    finish_reasons: tuple[str, ...] = ()
    http_status: int | None = None
    error_type: str | None = None
    attempts: tuple[Attempt, ...] = ()
    usage: Usage | None = None
    usage_raw: Mapping[str, Any] | None = None
    reason_unread: str | None = None
    terms: Terms = STANDARD_TERMS
    cost: Cost = NOT_PRICED
    attribution: Attribution = NOBODY
    response_cache: ResponseCache | None = None
    avoided_nano_usd: int | None = None
    rate_limits: Mapping[str, RateLimit] = field(default_factory=lambda: _NOTHING)
    content: Content | None = None
    """None unless prompts and answers were asked for."""

    @property
    def duration_ms(self) -> float:
        return (self.ended_at_ns - self.started_at_ns) / 1_000_000

    def as_cache_hit(self) -> Call:
        """The call as it is where the application's own cache answered it: nothing bought, its cost avoided."""
        cost = Cost(nano_usd=0, status=CostStatus.EXACT, reason="answered from the application's own cache")
        return replace(
            self,
            usage=None,
            usage_raw=None,
            reason_unread=None,
            cost=cost,
            response_cache=ResponseCache.HIT,
            avoided_nano_usd=self.cost.nano_usd,
        )

    @property
    def model(self) -> str | None:
        """The model to bill and to show: what was served, else what was asked for."""
        return self.model_served or self.model_requested
