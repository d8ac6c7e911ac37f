"""Outlay's own spans: what `outlay.emit` writes, read back.

The call comes whole and priced. A part that is damaged is left out; a cost that is damaged is worked out again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any, Final, TypeVar

import orjson
from outlay import attributes as at
from outlay.model import (
    STANDARD_TERMS,
    Call,
    Content,
    Cost,
    CostLine,
    CostStatus,
    RateLimit,
    ResponseCache,
    StreamEnd,
)
from outlay.providers.registry import canonical_provider

from outlay_collector.billing import Report, Source
from outlay_collector.dialects.base import SHARED_KEYS, attribution_of, count, http_status, milliseconds, text
from outlay_collector.otlp.span import Span
from outlay_collector.store.lines import written_lines
from outlay_collector.store.parts import read_attempts, read_lines, read_terms, read_usage

T = TypeVar("T")

_LARGEST: Final = 10**15  # a million USD: no call costs it, and sums of it fit
_LIMITS: Final = tuple(field.name for field in fields(RateLimit))
_STATUSES: Final = {status.value: status for status in CostStatus}
_STREAM_ENDS: Final = {end.value: end for end in StreamEnd}
_CACHES: Final = {cache.value: cache for cache in ResponseCache}


class Outlay:
    """`gen_ai.*` and `outlay.*` of a span in the scope `outlay`."""

    name = "outlay"
    note = "Outlay's own spans, whole and priced"
    keys = SHARED_KEYS | {
        *(at.PROVIDER, at.OPERATION, at.REQUEST_MODEL, at.RESPONSE_MODEL, at.RESPONSE_ID, at.REQUEST_ID),
        *(at.SERVER_ADDRESS, at.REQUEST_STREAM, at.STREAM_END, at.TIME_TO_FIRST_CHUNK, at.FINISH_REASONS),
        *(at.HTTP_STATUS, at.ERROR_TYPE, at.ATTEMPTS, at.USAGE, at.USAGE_RAW, at.USAGE_UNREAD, at.TERMS),
        *(at.COST_STATUS, at.COST_NANO_USD, at.COST_REASON, at.COST_LINES, at.COST_PRICE_ID, at.COST_PRICE_SOURCE),
        *(at.COST_COMPUTED_NANO_USD, at.CACHE_STATUS, at.AVOIDED_NANO_USD),
        *(at.CONTENT, at.SYSTEM_INSTRUCTIONS, at.INPUT_MESSAGES, at.OUTPUT_MESSAGES),
    }
    """Not the counts and totals it also writes, for those who know the conventions alone: they stand in its JSON."""
    prefixes = (at.RATE_LIMIT_PREFIX, at.TAG_PREFIX)

    def claims(self, scope_name: str, name: str, names: frozenset[str]) -> bool:
        return scope_name == at.SCOPE

    def read(self, span: Span) -> Report | None:
        get = span.attributes.named.get
        provider, operation = text(get(at.PROVIDER)), text(get(at.OPERATION))
        if provider is None or operation is None:
            return None
        return Report(
            call=_call_of(span, canonical_provider(provider), operation),
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent_span_id=span.parent_span_id,
            dialect=self.name,
            scope=span.origin.scope,
            source=Source.OUTLAY,
        )

    def step(self, span: Span) -> str | None:
        return None


def _call_of(span: Span, provider: str, operation: str) -> Call:
    attributes = span.attributes.named
    get = attributes.get
    return Call(
        provider=provider,
        operation=operation,
        model_requested=text(get(at.REQUEST_MODEL)),
        model_served=text(get(at.RESPONSE_MODEL)),
        response_id=text(get(at.RESPONSE_ID)),
        request_id=text(get(at.REQUEST_ID)),
        server_address=text(get(at.SERVER_ADDRESS)),
        started_at_ns=span.started_at_ns,
        ended_at_ns=span.ended_at_ns,
        streamed=get(at.REQUEST_STREAM) is True,
        stream_end=_member(_STREAM_ENDS, get(at.STREAM_END)),
        time_to_first_chunk_ms=milliseconds(get(at.TIME_TO_FIRST_CHUNK)),
        finish_reasons=_texts(get(at.FINISH_REASONS)),
        http_status=http_status(get(at.HTTP_STATUS)),
        error_type=text(get(at.ERROR_TYPE)),
        attempts=_document(get(at.ATTEMPTS), read_attempts) or (),
        usage=_document(get(at.USAGE), read_usage),
        usage_raw=_document(get(at.USAGE_RAW), _mapping),
        reason_unread=text(get(at.USAGE_UNREAD)),
        terms=_document(get(at.TERMS), read_terms) or STANDARD_TERMS,
        cost=_cost(attributes),
        attribution=attribution_of(span),
        response_cache=_member(_CACHES, get(at.CACHE_STATUS)),
        avoided_nano_usd=_nano_usd(get(at.AVOIDED_NANO_USD)),
        rate_limits=_rate_limits(span.attributes.families),
        content=_content(attributes) if at.CONTENT in attributes else None,
    )


def _cost(attributes: Mapping[str, Any]) -> Cost:
    status = _member(_STATUSES, attributes.get(at.COST_STATUS))
    nano_usd = _nano_usd(attributes.get(at.COST_NANO_USD))
    reason = text(attributes.get(at.COST_REASON))
    if status is None or nano_usd is None or status is CostStatus.UNPRICED:
        return Cost.unpriced(reason or "the call came without a cost")
    return Cost(
        nano_usd=nano_usd,
        status=status,
        reason=reason,
        lines=_lines(attributes.get(at.COST_LINES)),
        price_id=text(attributes.get(at.COST_PRICE_ID)),
        source=text(attributes.get(at.COST_PRICE_SOURCE)),
        computed_nano_usd=_nano_usd(attributes.get(at.COST_COMPUTED_NANO_USD)),
    )


def _content(attributes: Mapping[str, Any]) -> Content | None:
    """What was said, as it came. None where the mode is none that Outlay writes."""
    mode = attributes.get(at.CONTENT)
    said = (attributes.get(key) for key in (at.SYSTEM_INSTRUCTIONS, at.INPUT_MESSAGES, at.OUTPUT_MESSAGES))
    texts = (each if isinstance(each, str) else None for each in said)
    return Content(mode, *texts) if isinstance(mode, str) and mode in ("redacted", "full") else None


def _lines(value: object) -> Sequence[CostLine]:
    written = written_lines(value) if isinstance(value, str) else None
    return written if written is not None else _document(value, read_lines) or ()


def _rate_limits(families: Mapping[str, Any]) -> dict[str, RateLimit]:
    limits: dict[str, dict[str, Any]] = {}
    for key, value in families.items():
        if (of := _limit_of(key)) is not None and isinstance(value, (int, float)):
            name, part = of
            limits.setdefault(name, {})[part] = value if part == "reset_s" else count(value)
    return {name: RateLimit(**parts) for name, parts in limits.items()}


@lru_cache(maxsize=1024)
def _limit_of(key: str) -> tuple[str, str] | None:
    """Which limit an attribute tells of, and what of it; None for any other."""
    if not key.startswith(at.RATE_LIMIT_PREFIX):
        return None
    name, _, part = key[len(at.RATE_LIMIT_PREFIX) :].rpartition(".")
    return (name, part) if name and part in _LIMITS else None


def _document(value: object, read: Callable[[Any], T]) -> T | None:
    if not isinstance(value, str):
        return None
    try:
        return read(orjson.loads(value))
    except ValueError:  # no JSON, or JSON of another shape
        return None


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("expected an object")
    try:
        orjson.dumps(value)  # what is nested too deeply can be read but not written
    except orjson.JSONEncodeError:
        raise ValueError("expected an object that can be written again") from None
    return value


def _member(choices: Mapping[str, T], value: object) -> T | None:
    return choices.get(value) if isinstance(value, str) else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(said for item in value if (said := text(item))) if isinstance(value, list) else ()


def _nano_usd(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST else None
