"""A span that is a call, made a report: what all dialects that read calls piece by piece do alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Required, TypedDict

import orjson
from outlay.model import STANDARD_TERMS, Call
from outlay.providers.base import Reading

from outlay_collector.billing import Report, Source
from outlay_collector.dialects.base import MOST_RETRIES, attribution_of, count, error_of, http_status, terms_of
from outlay_collector.otlp.span import Span

_MOST_USD: Final = 10**6
_STANDARD: Final = (STANDARD_TERMS,)
"""To look for terms in: nearly all are the very same object, which a comparison would take apart."""


class Said(TypedDict, total=False):
    """What a span says of its call beside the counts, in `Call`'s words. It wins over what `reading` says."""

    provider: Required[str]
    operation: Required[str]
    model_requested: str | None
    model_served: str | None
    response_id: str | None
    request_id: str | None
    server_address: str | None
    streamed: bool
    time_to_first_chunk_ms: float | None
    finish_reasons: tuple[str, ...]


def report_of(
    span: Span,
    said: Said,
    *,
    dialect: str,
    reading: Reading,
    source: Source = Source.OTHER,
    stated_cost_usd: object = None,
    provider_cost: bool = False,
    status: int | None = None,
    error_type: str | None = None,
    ended_at_ns: int = 0,
) -> Report:
    """The report of the call; `said`, which is made for it, is completed. As a dict because names that a function does
    not know cost Python 0.2 us each. `provider_cost`: the stated cost is the provider's own charge, not what the sender
    worked out. `ended_at_ns`: when the call is known to have gone on, where its span was over before."""
    get = span.attributes.named.get
    failed = error_type or error_of(span)
    status = status or http_status(get("http.response.status_code")) or (span.exception_status if failed else None)
    stated = None if stated_cost_usd is None else amount_usd(stated_cost_usd)
    retries = get("http.request.resend_count")
    return Report(
        call=_call_of(span, reading, failed, status, max(span.ended_at_ns, ended_at_ns), said),
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        dialect=dialect,
        scope=span.origin.scope,
        source=source,
        retries=0 if retries is None else min(count(retries) or 0, MOST_RETRIES),
        provider_cost_usd=stated if provider_cost and stated else reading.provider_cost_usd,
        stated_cost_usd=stated,
    )


def _call_of(
    span: Span, reading: Reading, failed: str | None, status: int | None, ended_at_ns: int, said: Said
) -> Call:
    said.setdefault("model_requested", None)
    if not said.get("model_served"):
        said["model_served"] = reading.model_served
    if not said.get("response_id"):
        said["response_id"] = reading.response_id
    if not said.get("finish_reasons"):
        said["finish_reasons"] = reading.finish_reasons
    return Call(
        **said,
        started_at_ns=span.started_at_ns,
        ended_at_ns=ended_at_ns,
        http_status=status,
        error_type=failed,
        usage=reading.usage,
        usage_raw=_writable(reading.usage_raw) if reading.usage or reading.reason_unread else None,
        reason_unread=reading.reason_unread,
        terms=terms_of(span) if reading.terms in _STANDARD else reading.terms,
        attribution=attribution_of(span),
    )


def _writable(raw: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The object where JSON can hold it: what is nested too deeply, or is Python's alone, can be read but not kept."""
    try:
        orjson.dumps(raw)
    except orjson.JSONEncodeError:
        return None
    return raw


def amount_usd(value: object) -> Decimal | None:
    """An amount somebody worked out; None where it is none, or is zero: most that cannot price a call say zero."""
    if isinstance(value, str) and len(value) <= 32:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < _MOST_USD:
        return Decimal(str(value)) if math.isfinite(value) else None
    return None
