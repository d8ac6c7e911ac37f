"""What a request asks, read from its query string: window, time zone, buckets, grouping and filters.

Every refusal names the parameter. Names nobody knows are refused too: a filter that is misspelt would otherwise answer
with the sum of everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from outlay.errors import nearest
from starlette.datastructures import QueryParams

from outlay_collector.api.errors import bad_field
from outlay_collector.periods import INTERVALS, Interval, edges, to_ns
from outlay_collector.store.query import DIMENSIONS, UsageQuery, is_dimension

_DAY_NS: Final = 24 * 3600 * 1_000_000_000
_LATEST_NS: Final = 2**63 - 1
MOST_BUCKETS: Final = 10_000
MOST_DIMENSIONS: Final = 5
MOST_VALUES: Final = 100
MOST_GROUPS: Final = 1_000
MEASURES: Final = {
    **{name: name for name in ("calls", "errors", "rate_limited", "retries", "input_tokens", "output_tokens")},
    **{name: name for name in ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens")},
    "cost_usd": "cost_nano_usd",
    "avoided_usd": "avoided_nano_usd",
    **{name: name for name in ("unpriced_calls", "latency_ms", "ttft_ms")},
}
"""The figures of a row, as answers name them and as the store does, in the order of an answer."""
ORDERS: Final = ("cost_usd", "avoided_usd", "calls", "errors", "input_tokens", "output_tokens")
"""Those that groups can be put in order by."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about usage, and how its answer is to be written."""

    query: UsageQuery
    interval: Interval | None
    zone: ZoneInfo
    measures: Sequence[str]
    """The figures of a row, by the names of `MEASURES`."""


def read_usage_query(params: QueryParams, now_ns: int, *, also: Iterable[str] = ()) -> Asked:
    """All of `USAGE_PARAMETERS`. `also`: what else the endpoint takes."""
    refuse_unknown(params, ("from", "to", "interval", "timezone", "group_by", "order", "limit", *also))
    zone = read_timezone(params)
    from_ns, to = read_window(params, now_ns)
    interval, measures = _read_interval(params), _read_measures(params)
    query = UsageQuery(
        from_ns=from_ns,
        to_ns=to,
        edges=None if interval is None else _edges(interval, from_ns, to, zone),
        group_by=read_dimensions(params, "group_by"),
        filters=read_filters(params),
        measures=[MEASURES[name] for name in measures],
        **_read_ranking(params),
    )
    return Asked(query, interval, zone, measures)


def read_window(params: QueryParams, now_ns: int) -> tuple[int, int]:
    """`from` and `to`, half-open; the last 24 hours where neither is given."""
    to = read_time(params, "to")
    to = now_ns if to is None else to
    from_ns = read_time(params, "from")
    from_ns = max(to - _DAY_NS, 0) if from_ns is None else from_ns
    if from_ns > to:
        raise bad_field("from", "it is later than to")
    return from_ns, to


def read_time(params: QueryParams, name: str) -> int | None:
    value = params.get(name)
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        # A plus sign that was not escaped in the URL arrives as a space.
        raise bad_field(name, f"{value!r}: expected RFC 3339 with an offset, such as 2026-11-01T00:00:00Z")
    try:
        at_ns = to_ns(at)
    except OverflowError:
        at_ns = -1
    if not 0 <= at_ns <= _LATEST_NS:
        raise bad_field(name, f"{value!r}: expected a time from 1970 to 2262")
    return at_ns


def read_timezone(params: QueryParams) -> ZoneInfo:
    name = params.get("timezone", "UTC")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise bad_field("timezone", f"{name!r}: expected an IANA time zone, such as Europe/Berlin") from None


def read_dimensions(params: QueryParams, name: str) -> tuple[str, ...]:
    """A list of dimensions, separated by commas, each once."""
    wanted = _listed(params, name)
    for dimension in wanted:
        if not is_dimension(dimension):
            raise bad_field(name, f"{dimension!r} is no dimension{nearest(dimension, (*DIMENSIONS, 'tag.NAME'))}")
    if len(set(wanted)) > MOST_DIMENSIONS:
        raise bad_field(name, f"at most {MOST_DIMENSIONS} dimensions at once")
    return tuple(dict.fromkeys(wanted))


def read_filters(params: QueryParams) -> dict[str, tuple[str, ...]]:
    """Dimensions and the values each may have. An empty value: calls that do not say it."""
    filters: dict[str, tuple[str, ...]] = {}
    for name in params:
        if is_dimension(name):
            filters[name] = tuple(value.replace("\0", "") for value in params.getlist(name))
            if len(filters[name]) > MOST_VALUES:
                raise bad_field(name, f"at most {MOST_VALUES} values")
    return filters


def refuse_unknown(params: QueryParams, known: Iterable[str]) -> None:
    names = (*known, *DIMENSIONS)
    for name in params:
        if name not in names and not is_dimension(name):
            raise bad_field(name, f"there is no such parameter{nearest(name, (*names, 'tag.NAME'))}")


def _read_interval(params: QueryParams) -> Interval | None:
    value = params.get("interval", "none")
    if value == "none":
        return None
    for interval in INTERVALS:
        if value == interval:
            return interval
    raise bad_field("interval", f"{value!r}: expected one of {', '.join((*INTERVALS, 'none'))}")


def _read_measures(params: QueryParams) -> Sequence[str]:
    """All where none are named."""
    wanted = _listed(params, "measures")
    for measure in wanted:
        if measure not in MEASURES:
            raise bad_field("measures", f"{measure!r} is no figure of a row{nearest(measure, MEASURES)}")
    return [name for name in MEASURES if name in wanted or not wanted]


def _listed(params: QueryParams, name: str) -> list[str]:
    """What is separated by commas, or given again and again."""
    return [part.strip() for value in params.getlist(name) for part in value.split(",") if part.strip()]


def _read_ranking(params: QueryParams) -> dict[str, Any]:
    """`order` and `limit`; a limit alone is of the greatest cost."""
    wanted, limit = params.get("order"), params.get("limit")
    if wanted is not None and wanted not in ORDERS:
        raise bad_field("order", f"{wanted!r}: expected one of {', '.join(ORDERS)}")
    if limit is None:
        return {"order": MEASURES[wanted] if wanted else None}
    most = int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 6 else 0
    if not 1 <= most <= MOST_GROUPS:
        raise bad_field("limit", f"{limit!r}: expected a number of groups from 1 to {MOST_GROUPS}")
    return {"order": MEASURES[wanted or "cost_usd"], "limit": most}


def _edges(interval: Interval, from_ns: int, to: int, zone: ZoneInfo) -> list[int]:
    try:
        found = list(islice(edges(interval, from_ns, to, zone), MOST_BUCKETS + 2))
    except (OverflowError, ValueError):
        raise bad_field("from", "no calendar reaches this far in this time zone") from None
    if len(found) > MOST_BUCKETS + 1:
        raise bad_field("interval", f"more than {MOST_BUCKETS} buckets: ask for a shorter window or a longer interval")
    return found


def _parameter(name: str, description: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": schema or {"type": "string"},
    }


_TIME: Final = {"type": "string", "format": "date-time"}
WINDOW_PARAMETERS: Final = [
    _parameter("from", "The first instant; RFC 3339. 24 hours before `to` if not given.", _TIME),
    _parameter("to", "The instant after the last; RFC 3339. Now if not given.", _TIME),
]
FILTER_PARAMETERS: Final = [
    _parameter(
        name,
        "Only calls with this value; repeat it for any of several; empty for calls that do not say it.",
        {"type": "array", "items": {"type": "string"}},
    )
    for name in DIMENSIONS
]
TIMEZONE_PARAMETER: Final = _parameter("timezone", "IANA time zone of buckets; UTC if not given.")
INTERVAL_PARAMETER: Final = _parameter("interval", "none if not given.", {"enum": [*INTERVALS, "none"]})
MEASURES_PARAMETER: Final = _parameter(
    "measures", f"The figures rows have, separated by commas: {', '.join(MEASURES)}; all if not given."
)
USAGE_PARAMETERS: Final = [
    *WINDOW_PARAMETERS,
    INTERVAL_PARAMETER,
    TIMEZONE_PARAMETER,
    _parameter("group_by", "Dimensions, separated by commas."),
    _parameter("order", "The groups greatest in this first, over the whole window.", {"enum": [*ORDERS]}),
    _parameter(
        "limit",
        "Only so many groups: the first by `order`, by cost if it is not given.",
        {"type": "integer", "minimum": 1, "maximum": MOST_GROUPS},
    ),
    *FILTER_PARAMETERS,
]
