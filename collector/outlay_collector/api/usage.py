"""Sums of calls by time and dimension."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from outlay_collector.api.asking import USAGE_PARAMETERS, Asked, read_usage_query
from outlay_collector.api.dependencies import NowNs, StoreOf
from outlay_collector.api.written import written
from outlay_collector.money import usd_text
from outlay_collector.periods import rfc3339
from outlay_collector.store.blocks import BINS
from outlay_collector.store.query import Percentiles, UsageRow

router = APIRouter(prefix="/api/v1", tags=["usage"])

_BUCKETS_KNOWN: Final = 1_024


@router.get("/usage", response_model=dict[str, Any], openapi_extra={"parameters": USAGE_PARAMETERS})
def get_usage(request: Request, store: StoreOf, now_ns: NowNs) -> Response:
    """Sums over the calls of a window; a bucket or group without calls has no row. Filter `tag.NAME` works too."""
    asked = read_usage_query(request.query_params, now_ns)
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
        "calls": row.calls,
        "errors": row.errors,
        "rate_limited": row.rate_limited,
        "retries": row.retries,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cache_read_tokens": row.cache_read_tokens,
        "cache_write_tokens": row.cache_write_tokens,
        "reasoning_tokens": row.reasoning_tokens,
        "cost_usd": usd_text(row.cost_nano_usd),
        "avoided_usd": usd_text(row.avoided_nano_usd),
        "unpriced_calls": row.unpriced_calls,
        "latency_ms": percentiles_json(row.latency_ms),
        "ttft_ms": percentiles_json(row.ttft_ms),
    }


_written = lru_cache(_BUCKETS_KNOWN)(rfc3339)
"""All groups of a bucket have its time."""


def percentiles_json(percentiles: Percentiles) -> dict[str, float | None]:
    return {"p50": _rounded(percentiles.p50), "p95": _rounded(percentiles.p95), "p99": _rounded(percentiles.p99)}


@lru_cache(BINS)
def _rounded(ms: float | None) -> float | None:
    """Remembered: there are no more of them than bins of a histogram."""
    return None if ms is None else round(ms, 3)
