"""What one provider's response cost: from its body, as anybody may have kept it, to a `Cost`.

Read and priced as a live call is, for responses in files, logs and batch results. A line names what is known
beside the response: `provider`, `model`, `at`, `request`, and `rates`, a flat table that prices this response alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from outlay.lines import decimal_text, line_documents
from outlay.model import Cost
from outlay.prices.book import PriceBook
from outlay.prices.entry import BadRate, read_rates
from outlay.prices.match import priced_model
from outlay.prices.overrides import Override
from outlay.prices.price import EXACTLY
from outlay.providers.registry import batch_result, canonical_provider, reader_for, sniff
from outlay.providers.sse import decode_sse

_ANNOUNCED: Final = timedelta(days=366)
"""How far ahead a call's time may lie: prices are announced ahead, calls further out are a mistake."""
_FIRST_SALE: Final = datetime(2020, 6, 1, tzinfo=UTC)
"""When OpenAI opened its API. A time before it is one in the wrong unit."""
_FIELDS: Final[Mapping[str, tuple[type, str]]] = {
    "provider": (str, 'a name, such as "openai"'),
    "model": (str, 'a name, such as "gpt-4o"'),
    "request": (Mapping, "the body of the request"),
    "rates": (Mapping, 'a table of rates, such as {"input": "2.5"}'),
}


def quote(book: PriceBook, line: Mapping[str, Any], now: datetime) -> Cost:
    """What the response in this line cost. A line without a `response` is one itself; so is one of a batch's results.

    A response is a body, or the events of a stream: their list, or the text as it came. `now` (aware) prices one that
    says nothing of its time. What cannot be priced is `unpriced` with a reason.
    """
    if "response" not in line or ("provider" not in line and batch_result(line) is not None):
        line = {"response": line} if sniff(line) else {**line, "response": line}
    if wrong := _wrong_field(line):
        return Cost.unpriced(wrong)
    response = line["response"]
    response = list(decode_sse(response)) if isinstance(response, str) else response
    provider = canonical_provider(line.get("provider") or "") or sniff(response)
    if provider is None:
        return Cost.unpriced("the response does not show whose it is: name its provider")
    at = _time_of(line, response, now)
    if isinstance(at, str):
        return Cost.unpriced(at)
    reader = reader_for(provider)
    asked = line.get("request")
    request = None if asked is None else reader.read_request("", asked)
    reading = reader.read_response(request, response)
    model = priced_model(reading.model_served, line.get("model") or (request.model if request else None))
    try:
        priced = _with_rates(book, line.get("rates"))
    except BadRate as bad:
        return Cost.unpriced(f"rates.{bad}")
    return priced.cost(
        reading.usage,
        provider=provider,
        model=model,
        at_ns=int(at.timestamp()) * 10**9,
        terms=reading.terms,
        provider_cost_usd=reading.provider_cost_usd,
        reason_unread=reading.reason_unread,
    )


def _wrong_field(line: Mapping[str, Any]) -> str | None:
    for field, (kind, expected) in _FIELDS.items():
        value = line.get(field)
        if value is not None and not isinstance(value, kind):
            return f"{field} is {value!r:.80}: expected {expected}"
    return None


def _with_rates(book: PriceBook, rates: Mapping[str, Any] | None) -> PriceBook:
    """The book a line is priced from: one of its own rates alone where it has any."""
    if not rates:
        return book
    read_rates(rates)
    return PriceBook.empty().overridden([Override(provider="*", rates=rates, source="the line's rates")])


def _time_of(line: Mapping[str, Any], response: object, now: datetime) -> datetime | str:
    """When the call was made: as the line says, else as the response does, else now. A reason where that cannot be."""
    said = line.get("at")
    if said is None and isinstance(response, Mapping):
        said = next((response[key] for key in ("created_at", "created") if response.get(key) is not None), None)
    if said is None:
        return now
    try:
        at = datetime.fromisoformat(said) if isinstance(said, str) else datetime.fromtimestamp(_seconds(said), UTC)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        return f"at is {said!r:.80}: not a time (2026-06-15T12:00:00Z, or seconds since 1970)"
    if at < _FIRST_SALE:
        return f"at is {said}: before anybody sold a model"
    return f"at is {said}: in the future" if at > now + _ANNOUNCED else at


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return value


def quote_document(cost: Cost) -> dict[str, Any]:
    """A cost as JSON: amounts are decimal strings, None is unknown, and what there is nothing to say of is left out."""
    document: dict[str, Any] = {"cost_usd": _usd_text(cost.nano_usd), "status": cost.status.value}
    if cost.reason:
        document["reason"] = cost.reason
    if cost.computed_nano_usd is not None:
        document["computed_cost_usd"] = _usd_text(cost.computed_nano_usd)
    document["lines"] = line_documents(cost.lines)
    if cost.price_id:
        document["price"] = {"id": cost.price_id, "source": cost.source}
    return document


def _usd_text(nano_usd: int | None) -> str | None:
    return None if nano_usd is None else decimal_text(Decimal(nano_usd).scaleb(-9, EXACTLY))
