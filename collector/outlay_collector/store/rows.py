"""A report as the columns of a call, and back: the one place that knows both.

The columns hold all that a call says, so that history can be read, merged with a late report, and priced again. Most
are a field by its own name, and are listed once for both ways; some say a field in another form; the rest is worked out
from the call, for questions to be asked of, and is not read back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final

from outlay.emit import usage_json
from outlay.model import Attribution, Call, Cost, CostStatus, ResponseCache, StreamEnd, Totals
from sqlalchemy import Row

from outlay_collector.billing import Report, Source
from outlay_collector.store.bins import bin_of
from outlay_collector.store.engine import json_text
from outlay_collector.store.lines import lines_column
from outlay_collector.store.parts import (
    attempts_json,
    read_attempts,
    read_lines,
    read_terms,
    read_usage,
    terms_json,
)

TOO_MANY_REQUESTS: Final = 429
_NO_TOTALS: Final = Totals(None, None, None, None, None)
_STATUSES: Final = {status: status.value for status in CostStatus}  # to ask a member takes 0.2 us

_OF_REPORT: Final = ("trace_id", "span_id", "parent_span_id", "clock_ahead_ms")
_OF_CALL: Final = (
    *("provider", "operation", "model_requested", "model_served", "response_id", "request_id", "server_address"),
    *("started_at_ns", "ended_at_ns", "streamed", "http_status", "error_type", "avoided_nano_usd"),
)
_OF_ATTRIBUTION: Final = ("service", "environment", "feature", "user", "tenant", "session")
_IN_ANOTHER_FORM: Final = (
    *("ttft_ms", "stream_end", "finish_reasons", "attempts", "usage", "usage_raw", "terms", "tags"),
    *("cost_nano_usd", "cost_status", "cost_reason", "cost_lines", "price_id", "response_cache"),
)
_WORKED_OUT: Final = (
    *("bill_key", "model", "duration_ms", "latency_bin", "ttft_bin", "status", "retries", "rate_limited"),
    "prompt_cache",
)
COLUMNS: Final = (
    *(*_OF_REPORT, *_OF_CALL, *_OF_ATTRIBUTION, *Totals._fields, *_IN_ANOTHER_FORM, *_WORKED_OUT),
    "received_at_ns",
)
"""Every column of a call's row but its id, in the order in which they stand in `row_of`."""

_report_fields, _call_fields = attrgetter(*_OF_REPORT), attrgetter(*_OF_CALL)
_attribution_fields, _total_fields = attrgetter(*_OF_ATTRIBUTION), attrgetter(*Totals._fields)


def columns_of(report: Report, received_at_ns: int) -> dict[str, Any]:
    """Every column of the call's row but its id. Documents are what `engine.json_text` takes."""
    return dict(zip(COLUMNS, _row(None, report, received_at_ns, _as_it_is)[1:], strict=True))


def row_of(call_id: int, report: Report, received_at_ns: int) -> tuple[Any, ...]:
    """The whole row, its id first, then `COLUMNS`, as drivers take it: documents are text."""
    return _row(call_id, report, received_at_ns, json_text)


def _as_it_is(document: Any) -> Any:
    return document


def _row(call_id: int | None, report: Report, received_at_ns: int, written: Callable[[Any], Any]) -> tuple[Any, ...]:
    call = report.call
    totals = _NO_TOTALS if call.usage is None else call.usage.totals()
    return (
        call_id,
        *_report_fields(report),
        *_call_fields(call),
        *_attribution_fields(call.attribution),
        *totals,
        *_in_another_form(call, written),
        *_worked_out(report, totals),
        received_at_ns,
    )


def _in_another_form(call: Call, written: Callable[[Any], Any]) -> tuple[Any, ...]:
    cost, tags, end, cache = call.cost, call.attribution.tags, call.stream_end, call.response_cache
    return (
        call.time_to_first_chunk_ms,
        None if end is None else end.value,
        written(list(call.finish_reasons)) if call.finish_reasons else None,
        written(attempts_json(call.attempts)) if call.attempts else None,
        None if call.usage is None else written(usage_json(call.usage)),
        None if call.usage_raw is None else written(dict(call.usage_raw)),
        written(terms) if (terms := terms_json(call.terms)) else None,
        written(dict(tags)) if tags else None,
        cost.nano_usd,
        _STATUSES[cost.status],
        cost.reason,
        None if (lines := lines_column(cost.lines)) is None else written(lines),
        cost.price_id,
        None if cache is None else cache.value,
    )


def _worked_out(report: Report, totals: Totals) -> tuple[Any, ...]:
    call = report.call
    duration_ms, ttft_ms = call.duration_ms, call.time_to_first_chunk_ms
    return (
        report.bill_key,
        call.model,
        duration_ms,
        bin_of(duration_ms),
        None if ttft_ms is None else bin_of(ttft_ms),
        "ok" if call.error_type is None else "error",
        max(report.retries, len(call.attempts) - 1) if call.attempts else report.retries,
        _rate_limited(call),
        totals.prompt_cache if call.usage else None,
    )


def report_of(columns: Mapping[str, Any], *, dialect: str, scope: str, source: Source) -> Report:
    """The report those columns were made from. Columns left out are NULL."""
    return Report(
        call=_call_of(columns),
        dialect=dialect,
        scope=scope,
        source=source,
        retries=columns.get("retries") or 0,
        **_fields(columns, _OF_REPORT),
    )


def _call_of(columns: Mapping[str, Any]) -> Call:
    get = columns.get
    fields = _fields(columns, _OF_CALL)
    return Call(
        **{**fields, "streamed": bool(fields["streamed"])},
        time_to_first_chunk_ms=get("ttft_ms"),
        stream_end=StreamEnd(end) if (end := get("stream_end")) else None,
        finish_reasons=tuple(get("finish_reasons") or ()),
        attempts=read_attempts(get("attempts") or []),
        usage=read_usage(usage) if (usage := get("usage")) is not None else None,
        usage_raw=get("usage_raw"),
        reason_unread=get("cost_reason") if get("usage") is None and get("cost_nano_usd") is None else None,
        terms=read_terms(get("terms") or {}),
        attribution=Attribution(**_fields(columns, _OF_ATTRIBUTION), tags=get("tags") or {}),
        cost=_cost_of(columns),
        response_cache=ResponseCache(cache) if (cache := get("response_cache")) else None,
    )


def _cost_of(columns: Mapping[str, Any]) -> Cost:
    return Cost(
        nano_usd=columns.get("cost_nano_usd"),
        status=CostStatus(columns["cost_status"]),
        reason=columns.get("cost_reason"),
        lines=read_lines(columns.get("cost_lines") or []),
        price_id=columns.get("price_id"),
    )


def _fields(columns: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: columns.get(name) for name in names}


def _rate_limited(call: Call) -> int:
    if call.attempts:
        return [attempt.status for attempt in call.attempts].count(TOO_MANY_REQUESTS)
    return int(call.http_status == TOO_MANY_REQUESTS)


def stored_report(row: Row[Any], call: Row[Any]) -> Report:
    """What a stored report said: its own body or, where it is the only one, the call's row."""
    columns = call._asdict() if row.body is None else row.body
    return report_of(columns, dialect=row.dialect, scope=row.scope, source=Source(row.rank))
