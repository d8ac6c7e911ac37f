"""Sums of calls by time and dimension."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from outlay_collector.api.asking import MEASURES, MEASURES_PARAMETER, USAGE_PARAMETERS, Asked, read_usage_query
from outlay_collector.api.dependencies import NowNs, StoreOf
from outlay_collector.api.written import written
from outlay_collector.money import usd_text
from outlay_collector.periods import rfc3339
from outlay_collector.store.blocks import BINS
from outlay_collector.store.query import Percentiles, UsageRow

router = APIRouter(prefix="/api/v1", tags=["usage"])

_BUCKETS_KNOWN: Final = 1_024


@router.get(
    "/usage", response_model=dict[str, Any], openapi_extra={"parameters": [*USAGE_PARAMETERS, MEASURES_PARAMETER]}
)
def get_usage(request: Request, store: StoreOf, now_ns: NowNs) -> Response:
    """Sums over the calls of a window; a bucket or group without calls has no row. Filter `tag.NAME` works too."""
    asked = read_usage_query(request.query_params, now_ns, also=("measures",))
    said = {
        "from": rfc3339(asked.query.from_ns, asked.zone),
        "to": rfc3339(asked.query.to_ns, asked.zone),
        "interval": asked.interval or "none",
        "timezone": asked.zone.key,
        "group_by": list(asked.query.group_by),
        "rows": [row_json(row, asked) for row in store.usage(asked.query)],
    }
    return written(said)


def row_json(row: UsageRow, asked: Asked) -> dict[str, Any]:
    """`cost_usd` is null only where no call of the row has a price."""
    edges = asked.query.edges
    bucket = None if row.bucket is None or edges is None else _written(edges[row.bucket], asked.zone)
    return {
        "bucket": bucket,
        **dict(zip(asked.query.group_by, row.group, strict=True)),
        **{name: _READ[name](row) for name in asked.measures},
    }


_READ: Final[Mapping[str, Callable[[UsageRow], Any]]] = {
    **{name: attrgetter(of_row) for name, of_row in MEASURES.items()},
    "cost_usd": lambda row: usd_text(row.cost_nano_usd),
    "avoided_usd": lambda row: usd_text(row.avoided_nano_usd),
    "latency_ms": lambda row: percentiles_json(row.latency_ms),
    "ttft_ms": lambda row: percentiles_json(row.ttft_ms),
}


_written = lru_cache(_BUCKETS_KNOWN)(rfc3339)
"""All groups of a bucket have its time."""


def percentiles_json(percentiles: Percentiles) -> dict[str, float | None]:
    return {"p50": _rounded(percentiles.p50), "p95": _rounded(percentiles.p95), "p99": _rounded(percentiles.p99)}


@lru_cache(BINS)
def _rounded(ms: float | None) -> float | None:
    """Remembered: there are no more of them than bins of a histogram."""
    return None if ms is None else round(ms, 3)
