"""Single calls: the latest, and one with everything known of it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Request
from outlay.model import Content, CostStatus
from starlette.datastructures import QueryParams

from outlay_collector.api.asking import FILTER_PARAMETERS, WINDOW_PARAMETERS, read_filters, read_time, refuse_unknown
from outlay_collector.api.dependencies import StoreOf
from outlay_collector.api.errors import bad_field, not_found
from outlay_collector.billing import Source, bill_of
from outlay_collector.money import usd_text
from outlay_collector.periods import rfc3339
from outlay_collector.store.query import CallsQuery, StoredCall, StoredReport
from outlay_collector.store.rows import report_of

router = APIRouter(prefix="/api/v1", tags=["calls"])

MOST_CALLS: Final = 500
_PLAIN: Final = (
    "provider", "model", "model_requested", "operation",
    "duration_ms", "ttft_ms", "status", "error_type", "http_status", "retries",
    "service", "environment", "feature", "user", "tenant", "session",
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "cost_status", "cost_reason", "response_cache", "prompt_cache", "streamed", "trace_id",
)  # fmt: skip
_DETAILS: Final = (
    "model_served", "response_id", "request_id", "server_address", "span_id", "parent_span_id",
    "rate_limited", "stream_end", "price_id", "clock_ahead_ms",
)  # fmt: skip
_PAGE_PARAMETERS: Final = [
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": MOST_CALLS, "default": 50}},
    {
        "name": "cost_status",
        "in": "query",
        "schema": {"type": "array", "items": {"enum": [status.value for status in CostStatus]}},
        "description": "Only calls whose cost is known this well; repeat it for any of several.",
    },
    {"name": "cursor", "in": "query", "schema": {"type": "string"}, "description": "`next_cursor` of the page before."},
]


@router.get("/calls", openapi_extra={"parameters": [*_PAGE_PARAMETERS, *WINDOW_PARAMETERS, *FILTER_PARAMETERS]})
def get_calls(request: Request, store: StoreOf) -> dict[str, Any]:
    """The latest calls first. `next_cursor` is null on the last page."""
    params = request.query_params
    refuse_unknown(params, ("limit", "cursor", "from", "to", "cost_status"))
    limit = _read_limit(params)
    query = CallsQuery(
        limit=limit + 1,
        before=_read_cursor(params),
        from_ns=read_time(params, "from"),
        to_ns=read_time(params, "to"),
        filters={**read_filters(params), **_read_cost_status(params)},
    )
    found = store.calls(query)
    page = found[:limit]
    return {
        "calls": [call_json(call) for call in page],
        "next_cursor": _cursor(page[-1]) if len(found) > limit else None,
    }


@router.get("/calls/{call_id}")
def get_call(call_id: int, store: StoreOf) -> dict[str, Any]:
    """One call: its line items, attempts, and every report of it, the best source first. `bill` says which of them the
    usage, the terms and the cost were taken from, and why."""
    found = store.call(call_id) if abs(call_id) < 2**63 else None
    if found is None:
        raise not_found(f"call {call_id}")
    call, reports = found
    return {
        **call_json(call),
        **{name: call[name] for name in _DETAILS},
        "ended_at": rfc3339(call["ended_at_ns"]),
        "received_at": rfc3339(call["received_at_ns"]),
        "avoided_usd": usd_text(call["avoided_nano_usd"]),
        "finish_reasons": call["finish_reasons"] or [],
        "attempts": call["attempts"] or [],
        "lines": call["cost_lines"] or [],
        "usage": call["usage"],
        "usage_raw": call["usage_raw"],
        "terms": call["terms"] or {},
        "content": _content_json(store.content(call_id)),
        "bill": _bill_json(call, reports),
        "reports": [_report_json(report) for report in reports],
    }


def call_json(call: StoredCall) -> dict[str, Any]:
    """A call as lists show it."""
    return {
        "id": call["id"],
        "started_at": rfc3339(call["started_at_ns"]),
        **{name: call[name] for name in _PLAIN},
        "tags": call["tags"] or {},
        "cost_usd": usd_text(call["cost_nano_usd"]),
    }


def _content_json(content: Content | None) -> dict[str, Any] | None:
    """What was said, as messages of OpenTelemetry's GenAI conventions; null where nothing is kept."""
    if content is None:
        return None
    said = {"system": content.system, "input": content.input, "output": content.output}
    return {"mode": content.mode, **{name: json.loads(text or "[]") for name, text in said.items()}}


def _bill_json(call: StoredCall, reports: Sequence[StoredReport]) -> dict[str, Any] | None:
    """None where the reports are gone: they are not kept as long as the call."""
    told = [
        report_of(
            call if report["body"] is None else report["body"],
            dialect=report["dialect"],
            scope=report["scope"],
            source=Source(report["rank"]),
        )
        for report in reports
    ]
    if not told:
        return None
    billed, why = bill_of(told)
    return {
        "trace_id": billed.trace_id,
        "span_id": billed.span_id,
        "dialect": billed.dialect,
        "scope": billed.scope,
        "why": why,
    }


def _report_json(report: StoredReport) -> dict[str, Any]:
    return {
        "trace_id": report["trace_id"],
        "span_id": report["span_id"],
        "parent_span_id": report["parent_span_id"],
        "dialect": report["dialect"],
        "scope": report["scope"],
        "rank": report["rank"],
        "received_at": rfc3339(report["received_at_ns"]),
        "said": report["body"],
    }


def _read_limit(params: QueryParams) -> int:
    value = params.get("limit", "50")
    limit = int(value) if value.isascii() and value.isdigit() and len(value) < 6 else 0
    if not 1 <= limit <= MOST_CALLS:
        raise bad_field("limit", f"{value!r}: expected a number from 1 to {MOST_CALLS}")
    return limit


def _read_cost_status(params: QueryParams) -> dict[str, list[str]]:
    wanted = params.getlist("cost_status")
    known = [status.value for status in CostStatus]
    for value in wanted:
        if value not in known:
            raise bad_field("cost_status", f"{value!r}: expected one of {', '.join(known)}")
    return {"cost_status": wanted} if wanted else {}


def _cursor(call: StoredCall) -> str:
    return base64.urlsafe_b64encode(f"{call['started_at_ns']}.{call['id']}".encode()).decode().rstrip("=")


def _read_cursor(params: QueryParams) -> tuple[int, int] | None:
    value = params.get("cursor")
    if value is None:
        return None
    try:
        started, _, call_id = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode().partition(".")
        place = int(started), int(call_id)
    except (ValueError, binascii.Error):
        place = (-1, -1)
    if not all(0 <= number < 2**63 for number in place):
        raise bad_field("cursor", "it is none that this collector gave")
    return place
