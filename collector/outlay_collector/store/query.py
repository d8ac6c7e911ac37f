"""What can be asked of the store, and what it answers. Backends agree on these; HTTP and the rule engine speak them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from outlay.records import record

DIMENSIONS: Final = (
    "service",
    "environment",
    "provider",
    "model",
    "operation",
    "feature",
    "user",
    "tenant",
    "session",
    "status",
)
PERCENTILES: Final = ("latency_ms", "ttft_ms")
"""The measures that need histograms."""
TAG: Final = "tag."
_TAG_NAME: Final = re.compile(r"[\w.:/@-]{1,64}\Z", re.ASCII)

Filters = Mapping[str, Sequence[str]]
"""Dimension to the values it may have, any of them; the empty text stands for calls that do not say it."""


def is_dimension(name: str) -> bool:
    """Whether usage can be grouped and filtered by it: one of `DIMENSIONS`, or `tag.NAME`."""
    return name in DIMENSIONS or (name.startswith(TAG) and _TAG_NAME.match(name[len(TAG) :]) is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuery:
    """Sums over calls that started at `from_ns` or later and before `to_ns`.

    `edges` cut the window into buckets: n + 1 rising times for n buckets, of which the first may lie before `from_ns`
    and the last after `to_ns`. None: one bucket.

    `order`: the greatest groups by this measure first, summed over all buckets; `limit` needs one, and leaves the other
    groups out.

    `measures`: the fields of `UsageRow` that are wanted, all if None. What only the others need is not read: who draws
    spend over time waits for no histogram.
    """

    from_ns: int
    to_ns: int
    edges: Sequence[int] | None = None
    group_by: Sequence[str] = ()
    filters: Filters = field(default_factory=dict)
    order: str | None = None
    limit: int | None = None
    measures: Collection[str] | None = None

    def wants(self, measures: Iterable[str]) -> bool:
        """Any of them."""
        return self.measures is None or not frozenset(measures).isdisjoint(self.measures)


@record(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Milliseconds; None where no call has the figure."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@record(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """One bucket and group that has calls. `bucket` is the place of the bucket in `edges`.

    A sum is None where no call of the row has the figure; `unpriced_calls` are not in `cost_nano_usd`. What was not
    wanted may be None.
    """

    bucket: int | None
    group: Sequence[str | None]
    calls: int
    errors: int
    auth_failures: int
    rate_limited: int
    retries: int
    unpriced_calls: int
    cost_nano_usd: int | None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    avoided_nano_usd: int | None = None
    latency_ms: Percentiles = Percentiles()
    ttft_ms: Percentiles = Percentiles()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsQuery:
    """Calls, the latest first. `before` is the (started_at_ns, id) of the last call already seen."""

    limit: int
    before: tuple[int, int] | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    filters: Filters = field(default_factory=dict)


StoredCall = Mapping[str, Any]
"""The columns of `schema.CallRow`."""
StoredReport = Mapping[str, Any]
"""The columns of `schema.ReportRow`."""
