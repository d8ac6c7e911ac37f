"""A finished call as the attributes of one span. Pure: no clock, no context, nothing sent.

The collector's dialect for Outlay reads a call back from them; whatever is written here it can read there. What is
unknown is left out.
"""

from __future__ import annotations

import json.encoder
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from outlay import attributes as at
from outlay.lines import decimal_text, lines_json
from outlay.model import (
    NANO_USD_PER_USD,
    STANDARD_TERMS,
    Attempt,
    Attribution,
    Call,
    Content,
    Cost,
    CostStatus,
    RateLimit,
    Terms,
    Usage,
)
from outlay.providers.names import conventional_provider

AttributeValue = str | bool | int | float | tuple[str, ...]


def _compact_encoder() -> Callable[[Any], str]:
    """JSON without blanks; a `Decimal` is a text. A `JSONEncoder` makes a C encoder for every document, which takes
    longer than a usage does; where there is none (PyPy) it is as good as any."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_text_of).encode
    quoted = json.encoder.encode_basestring
    pieces = make(None, _text_of, quoted, None, ":", ",", False, False, True)
    return lambda value: "".join(pieces(value, 0))


def _text_of(value: object) -> str:
    return decimal_text(value) if isinstance(value, Decimal) else str(value)


def span_name(call: Call) -> str:
    """`chat gpt-4o`, as the GenAI conventions ask."""
    return f"{call.operation} {call.model_requested}" if call.model_requested else call.operation


def span_attributes(call: Call) -> dict[str, AttributeValue]:
    """Everything the span says of the call, but for the service and environment that stand on its resource."""
    found: dict[str, AttributeValue | None] = {
        at.PROVIDER: conventional_provider(call.provider),
        at.OPERATION: call.operation,
        at.REQUEST_MODEL: call.model_requested,
        at.RESPONSE_MODEL: call.model_served,
        at.RESPONSE_ID: call.response_id,
        at.SERVER_ADDRESS: call.server_address,
        at.REQUEST_ID: call.request_id,
        at.HTTP_STATUS: call.http_status,
        at.ERROR_TYPE: call.error_type,
        at.USAGE_UNREAD: call.reason_unread,
        at.CACHE_STATUS: call.response_cache,
        at.AVOIDED_NANO_USD: call.avoided_nano_usd,
    }
    if call.finish_reasons:
        found[at.FINISH_REASONS] = call.finish_reasons
    if call.streamed:
        _add_stream(found, call)
    if call.terms is not STANDARD_TERMS and call.terms != STANDARD_TERMS:
        found[at.TERMS] = _terms_json(call.terms)
    if call.attempts:
        found[at.ATTEMPTS] = f"[{','.join(map(_attempt_json, call.attempts))}]"
        found[at.RESEND_COUNT] = len(call.attempts) - 1 or None
    if call.usage_raw is not None:
        found[at.USAGE_RAW] = _encode(call.usage_raw)
    if call.usage is not None:
        _add_usage(found, call.usage)
    _add_cost(found, call.cost)
    _add_attribution(found, call.attribution)
    for name, limit in call.rate_limits.items():
        _add_rate_limit(found, name, limit)
    if call.content is not None:
        _add_content(found, call.content)
    return {key: value for key, value in found.items() if value is not None}


def _add_stream(found: dict[str, AttributeValue | None], call: Call) -> None:
    found[at.REQUEST_STREAM] = True
    found[at.STREAM_END] = call.stream_end
    if call.time_to_first_chunk_ms is not None:
        found[at.TIME_TO_FIRST_CHUNK] = call.time_to_first_chunk_ms / 1000


def _add_usage(found: dict[str, AttributeValue | None], usage: Usage) -> None:
    totals = usage.totals()
    given, made, read, written, thought = totals
    found[at.INPUT_TOKENS] = given
    found[at.OUTPUT_TOKENS] = made
    found[at.CACHE_READ_TOKENS] = read
    found[at.CACHE_WRITE_TOKENS] = written
    found[at.REASONING_TOKENS] = thought
    found[at.PROMPT_CACHE_STATUS] = totals.prompt_cache
    found[at.USAGE] = _encode(usage.quantities if _is_plain(usage) else usage_json(usage))


def _is_plain(usage: Usage) -> bool:
    """Whether its quantities are all there is to say, and say it as they stand."""
    return type(usage.quantities) is dict and usage.inferred is None and not usage.other_models


def usage_json(usage: Usage) -> dict[str, Any]:
    """What stands in `outlay.usage`: units to quantities, `~inferred` and `~models` where there is something to say."""
    said: dict[str, Any] = {
        unit: quantity if isinstance(quantity, int) else decimal_text(quantity)
        for unit, quantity in usage.quantities.items()
    }
    if usage.inferred is not None:
        said["~inferred"] = usage.inferred
    if usage.other_models:
        said["~models"] = {model: usage_json(used) for model, used in usage.other_models.items()}
    return said


def _add_cost(found: dict[str, AttributeValue | None], cost: Cost) -> None:
    found[at.COST_STATUS] = cost.status
    found[at.COST_REASON] = cost.reason
    found[at.COST_PRICE_ID] = cost.price_id
    found[at.COST_PRICE_SOURCE] = cost.source
    found[at.COST_COMPUTED_NANO_USD] = cost.computed_nano_usd
    if cost.lines:
        found[at.COST_LINES] = lines_json(cost.lines)
    if cost.nano_usd is not None:
        found[at.COST_NANO_USD] = cost.nano_usd
        found[at.COST_AMOUNT] = cost.nano_usd / NANO_USD_PER_USD
        found[at.COST_CURRENCY] = "USD"
        found[at.COST_ORIGIN] = "provider" if cost.status is CostStatus.PROVIDER_REPORTED else "local"


def _add_content(found: dict[str, AttributeValue | None], content: Content) -> None:
    found[at.CONTENT] = content.mode
    found[at.SYSTEM_INSTRUCTIONS] = content.system
    found[at.INPUT_MESSAGES] = content.input
    found[at.OUTPUT_MESSAGES] = content.output


def _add_attribution(found: dict[str, AttributeValue | None], who: Attribution) -> None:
    found[at.USER] = who.user
    found[at.SESSION] = who.session
    found[at.FEATURE] = who.feature
    found[at.TENANT] = who.tenant
    for name, value in who.tags.items():
        found[at.TAG_PREFIX + name] = value


def _add_rate_limit(found: dict[str, AttributeValue | None], name: str, limit: RateLimit) -> None:
    limit_key, remaining_key, reset_key = _rate_limit_keys(name)
    found[limit_key] = limit.limit
    found[remaining_key] = limit.remaining
    found[reset_key] = limit.reset_s


@lru_cache(maxsize=64)
def _rate_limit_keys(name: str) -> tuple[str, str, str]:
    prefix = f"{at.RATE_LIMIT_PREFIX}{name}."
    return prefix + "limit", prefix + "remaining", prefix + "reset_s"


# Written out by hand in a third of the time an encoder takes; names of units need no escaping.


def _attempt_json(attempt: Attempt) -> str:
    status = "null" if attempt.status is None else attempt.status
    error = "" if attempt.error is None else f',"error":{_encode(attempt.error)}'
    wait = "" if attempt.retry_after_s is None else f',"retry_after_s":{attempt.retry_after_s!r}'
    return f'{{"status":{status},"ms":{attempt.duration_ms:.3f}{error}{wait}}}'


def _terms_json(terms: Terms) -> str:
    said = {"service_tier": terms.service_tier, "batch": terms.batch, "speed": terms.speed, "region": terms.region}
    return _encode({key: value for key, value in said.items() if value})


_encode: Final = _compact_encoder()
