"""The parts of a call that are documents.

One shape in Outlay's spans, in the database and in the API. What is measured or is money is decimal text, so nothing is
rounded on the way. Readers take any JSON and raise `ValueError` where it is not what it should be: on the wire it comes
from strangers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from outlay.model import STANDARD_TERMS, Attempt, CostLine, Quantity, Terms, Usage

MOST_ITEMS: Final = 64
_DECIMAL: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,40})?")
_LARGEST: Final = 10**15
_INFERRED: Final = "~inferred"
_MODELS: Final = "~models"


def read_usage(said: object, *, nested: bool = False) -> Usage:
    """What `outlay.emit.usage_json` wrote."""
    units = _mapping(said)
    quantities = {
        unit: value if type(value) is int and 0 <= value <= _LARGEST else _quantity(value)
        for unit, value in units.items()
        if unit[:1] != "~"
    }
    if len(quantities) == len(units):
        return Usage(quantities)
    inferred = units.get(_INFERRED)
    models = {} if nested else _mapping(units.get(_MODELS, {}))
    others = {model: read_usage(used, nested=True) for model, used in models.items()}
    return Usage(quantities, str(inferred) if inferred is not None else None, others)


def read_lines(said: object) -> tuple[CostLine, ...]:
    return tuple(
        CostLine(
            unit=_text(line, "unit"),
            quantity=_quantity(line.get("quantity")),
            rate_usd=_decimal(line.get("rate")),
            per=_whole(line.get("per")),
            cost_usd=_decimal(line.get("cost_usd")),
        )
        for line in _mappings(said)
    )


def attempts_json(attempts: Iterable[Attempt]) -> list[dict[str, Any]]:
    written = []
    for attempt in attempts:
        said: dict[str, Any] = {"status": attempt.status, "ms": attempt.duration_ms}
        if attempt.error is not None:
            said["error"] = attempt.error
        if attempt.retry_after_s is not None:
            said["retry_after_s"] = attempt.retry_after_s
        written.append(said)
    return written


def read_attempts(said: object) -> tuple[Attempt, ...]:
    return tuple(map(_attempt, _mappings(said)))


def _attempt(said: Mapping[str, Any]) -> Attempt:
    status, error, after = said.get("status"), said.get("error"), said.get("retry_after_s")
    return Attempt(
        status=None if status is None else _whole(status),
        duration_ms=_number(said.get("ms")),
        error=None if error is None else _text(said, "error"),
        retry_after_s=None if after is None else _number(after),
    )


def terms_json(terms: Terms) -> dict[str, Any]:
    """Only what differs from the standard terms."""
    if terms is STANDARD_TERMS:
        return {}
    said = {"service_tier": terms.service_tier, "batch": terms.batch, "speed": terms.speed, "region": terms.region}
    return {key: value for key, value in said.items() if value}


def read_terms(said: object) -> Terms:
    terms = _mapping(said)
    texts = {key: _text(terms, key) for key in ("service_tier", "speed", "region") if key in terms}
    return Terms(batch=terms.get("batch") is True, **texts)


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict) or len(value) > MOST_ITEMS:
        raise ValueError(f"expected an object of at most {MOST_ITEMS} keys")
    return value


def _mappings(value: object) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or len(value) > MOST_ITEMS:
        raise ValueError(f"expected a list of at most {MOST_ITEMS} objects")
    return list(map(_mapping, value))


def _text(holder: Mapping[str, Any], key: str) -> str:
    value = holder.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key}: expected text")
    return value


def _quantity(value: object) -> Quantity:
    return _whole(value) if isinstance(value, int) else _decimal(value)


def _decimal(value: object) -> Decimal:
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise ValueError("expected a decimal as text")
    return Decimal(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _LARGEST:
        raise ValueError("expected a whole number")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("expected a number")
    return value
