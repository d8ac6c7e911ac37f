"""What a provider itself says a call cost.

Three providers put the charge into the usage object, each in its own way; everyone else reports counts alone. A charge
is believed, so it is read only where it is known to be one: estimates of gateways are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from outlay.providers.counts import Contradiction, measure
from outlay.providers.foreign import has, mapping

_USD_PER_TICK: Final = Decimal("1e-10")


def reported_cost(provider: str, usage: Mapping[str, Any]) -> Decimal | None:
    """The charge in USD, None where none is reported or what stands there is no amount."""
    read = _BY_PROVIDER.get(provider) or (_openrouter if has(usage, "is_byok") else None)
    if read is None:
        return None
    try:
        return read(usage)
    except Contradiction:
        return None


def _openrouter(usage: Mapping[str, Any]) -> Decimal | None:
    """`cost` is what OpenRouter takes. With the caller's own key at the upstream provider (`is_byok`) that is only its
    fee, and `upstream_inference_cost` is paid beside it; otherwise the upstream's cost is inside
    (openrouter.chat.completions.851ea2428589: 0.000637 upstream and a search in 0.007637).
    """
    cost = measure(usage, "cost")
    if usage.get("is_byok") is not True:
        return cost
    upstream = measure(mapping(usage.get("cost_details")), "upstream_inference_cost")
    return None if cost is None or upstream is None else cost + upstream


def _perplexity(usage: Mapping[str, Any]) -> Decimal | None:
    """`cost.total_cost` holds tokens and the request fee (perplexity.chat.completions.1cf15b43d1d5)."""
    cost = mapping(usage.get("cost"))
    if cost.get("currency", "USD") != "USD":
        return None
    return measure(cost, "total_cost")


def _xai(usage: Mapping[str, Any]) -> Decimal | None:
    """Ticks of 1e-10 USD: 415 x $1.25 + 192 x $0.20 + 104 x $2.50 a million is 8,171,500 of them
    (xai.responses.071c71e3c98e). Azure's Grok sends the field too, always 0 (azure.chat.completions.s.13ed66233fec):
    it is not Azure's bill and is not read.
    """
    ticks = measure(usage, "cost_in_usd_ticks")
    return None if ticks is None else ticks * _USD_PER_TICK


_BY_PROVIDER: Final[dict[str, Callable[[Mapping[str, Any]], Decimal | None]]] = {
    "openrouter": _openrouter,
    "perplexity": _perplexity,
    "xai": _xai,
}
