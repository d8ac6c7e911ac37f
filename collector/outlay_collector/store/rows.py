"""A report as the columns of a call, and back: the one place that knows both.

The columns hold all that a call says, so that history can be read, merged with a late report, and priced again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from outlay.emit import usage_json
from outlay.model import Attribution, Call, Cost, CostStatus, ResponseCache, StreamEnd, Totals
from sqlalchemy import Row

from outlay_collector.billing import Report, Source
from outlay_collector.store.bins import bin_of
from outlay_collector.store.lines import lines_column
from outlay_collector.store.parts import (
    attempts_json,
    read_attempts,
    read_lines,
    read_terms,
    read_usage,
    terms_json,
)
from outlay_collector.store.schema import CALLS

TOO_MANY_REQUESTS: Final = 429
_NO_TOTALS: Final = Totals(None, None, None, None, None)
COLUMNS: Final = tuple(column.name for column in CALLS.columns if column.name != "id")


def columns_of(report: Report, received_at_ns: int) -> dict[str, Any]:
    """Every column of the call's row but its id. Documents are what `engine.json_text` takes."""
    return dict(zip(COLUMNS, values_of(report, received_at_ns), strict=True))


def values_of(report: Report, received_at_ns: int) -> tuple[Any, ...]:
    """The same without their names, in the order of `COLUMNS`: by name they take 2 us longer."""
    call, cost, who = report.call, report.call.cost, report.call.attribution
    usage, duration_ms = call.usage, call.duration_ms
    totals = _NO_TOTALS if usage is None else usage.totals()
    return (
        report.bill_key,
        call.provider,
        call.operation,
        call.model,
        call.model_requested,
        call.model_served,
        call.response_id,
        report.trace_id,
        report.span_id,
        report.parent_span_id,
        call.started_at_ns,
        call.ended_at_ns,
        report.clock_ahead_ms,
        duration_ms,
        call.time_to_first_chunk_ms,
        bin_of(duration_ms),
        None if call.time_to_first_chunk_ms is None else bin_of(call.time_to_first_chunk_ms),
        "ok" if call.error_type is None else "error",
        call.error_type,
        call.http_status,
        attempts_json(call.attempts) or None,
        max(report.retries, len(call.attempts) - 1),
        _rate_limited(call),
        who.service,
        who.environment,
        who.feature,
        who.user,
        who.tenant,
        who.session,
        dict(who.tags) or None,
        totals.input_tokens,
        totals.output_tokens,
        totals.cache_read_tokens,
        totals.cache_write_tokens,
        totals.reasoning_tokens,
        usage and usage_json(usage),
        call.usage_raw and dict(call.usage_raw),
        terms_json(call.terms) or None,
        cost.nano_usd,
        cost.status.value,
        cost.reason,
        lines_column(cost.lines),
        cost.price_id,
        call.response_cache and call.response_cache.value,
        totals.prompt_cache if usage else None,
        call.avoided_nano_usd,
        call.streamed,
        call.stream_end and call.stream_end.value,
        list(call.finish_reasons) or None,
        call.request_id,
        call.server_address,
        received_at_ns,
    )


def report_of(columns: Mapping[str, Any], *, dialect: str, scope: str, source: Source) -> Report:
    """The report those columns were made from. Columns left out are NULL."""
    get = columns.get
    call = Call(
        provider=columns["provider"],
        operation=columns["operation"],
        model_requested=get("model_requested"),
        model_served=get("model_served"),
        response_id=get("response_id"),
        request_id=get("request_id"),
        server_address=get("server_address"),
        started_at_ns=columns["started_at_ns"],
        ended_at_ns=columns["ended_at_ns"],
        streamed=bool(get("streamed")),
        stream_end=StreamEnd(end) if (end := get("stream_end")) else None,
        time_to_first_chunk_ms=get("ttft_ms"),
        finish_reasons=tuple(get("finish_reasons") or ()),
        http_status=get("http_status"),
        error_type=get("error_type"),
        attempts=read_attempts(get("attempts") or []),
        usage=read_usage(usage) if (usage := get("usage")) is not None else None,
        usage_raw=get("usage_raw"),
        reason_unread=get("cost_reason") if get("usage") is None and get("cost_nano_usd") is None else None,
        terms=read_terms(get("terms") or {}),
        cost=_cost_of(columns),
        attribution=Attribution(
            service=get("service"),
            environment=get("environment"),
            feature=get("feature"),
            user=get("user"),
            tenant=get("tenant"),
            session=get("session"),
            tags=get("tags") or {},
        ),
        response_cache=ResponseCache(cache) if (cache := get("response_cache")) else None,
        avoided_nano_usd=get("avoided_nano_usd"),
    )
    return Report(
        call=call,
        trace_id=columns["trace_id"],
        span_id=columns["span_id"],
        parent_span_id=get("parent_span_id"),
        dialect=dialect,
        scope=scope,
        source=source,
        retries=get("retries") or 0,
        clock_ahead_ms=get("clock_ahead_ms"),
    )


def _cost_of(columns: Mapping[str, Any]) -> Cost:
    return Cost(
        nano_usd=columns.get("cost_nano_usd"),
        status=CostStatus(columns["cost_status"]),
        reason=columns.get("cost_reason"),
        lines=read_lines(columns.get("cost_lines") or []),
        price_id=columns.get("price_id"),
    )


def _rate_limited(call: Call) -> int:
    if call.attempts:
        return [attempt.status for attempt in call.attempts].count(TOO_MANY_REQUESTS)
    return int(call.http_status == TOO_MANY_REQUESTS)


def stored_report(row: Row[Any], call: Row[Any]) -> Report:
    """What a stored report said: its own body or, where it is the only one, the call's row."""
    columns = call._asdict() if row.body is None else row.body
    return report_of(columns, dialect=row.dialect, scope=row.scope, source=Source(row.rank))
