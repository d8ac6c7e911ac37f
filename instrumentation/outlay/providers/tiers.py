"""The terms a call was asked for and served under, in Outlay's words whatever the provider calls them.

What a response says wins over what the request asked: OpenAI serves `default` where `flex` had no room, Anthropic falls
back from fast mode, and the bill follows what was served. A response that is silent is taken to be what was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from outlay.model import STANDARD_TERMS, Terms
from outlay.providers.base import Request
from outlay.providers.foreign import first_text, text

_STANDARD: Final = frozenset(
    {"auto", "default", "standard", "standard_only", "on_demand", "traffic_type_unspecified", "unspecified"}
)
_ALIASES: Final = {
    "fast": "priority",  # OpenAI: asked as `fast`, echoed as `priority` (openai 3.52.0 types/responses/response.py)
    "on_demand_priority": "priority",  # Vertex AI's usageMetadata.trafficType
    "on_demand_flex": "flex",
    "provisioned_throughput": "provisioned",
    "service_tier_flex": "flex",
    "service_tier_priority": "priority",
    "service_tier_standard": "standard",
}
ASKING: Final = frozenset({"service_tier", "serviceTier", "speed", "inference_geo", "batch"})
"""Fields of a request that ask for other terms than the standard ones."""
_ANYWHERE: Final = frozenset({"global", "not_available", "default"})


def asked_terms(body: Mapping[str, Any]) -> Terms:
    """The terms a request asks for. `"batch": true` marks a request that was sent inside a batch."""
    asked, in_batch = first_text(body, "service_tier", "serviceTier"), body.get("batch") is True
    speed, region = text(body.get("speed")), text(body.get("inference_geo"))
    if asked is None and speed is None and region is None:
        return Terms(batch=True) if in_batch else STANDARD_TERMS
    tier, is_batch = _tier(asked)
    return Terms(service_tier=tier, batch=is_batch or in_batch, speed=_speed(speed), region=_region(region))


def served_terms(
    request: Request | None, tier: object = None, *, speed: object = None, region: object = None, batch: bool = False
) -> Terms:
    """The terms a response was served under; each that it leaves out is the request's."""
    asked = request.terms if request else STANDARD_TERMS
    if tier is None and speed is None and region is None and not batch:
        return asked
    return _served_terms(asked, text(tier), text(speed), text(region), batch)


@lru_cache(maxsize=256)
def _served_terms(asked: Terms, tier: str | None, speed: str | None, region: str | None, batch: bool) -> Terms:
    served, in_batch = _tier(tier) if tier else (asked.service_tier, False)
    terms = Terms(
        service_tier=served,
        batch=asked.batch or batch or in_batch,
        speed=_speed(speed) if speed else asked.speed,
        region=_region(region) if region else asked.region,
    )
    return STANDARD_TERMS if terms == STANDARD_TERMS else terms


def _tier(value: object) -> tuple[str | None, bool]:
    """The tier, None for the standard one, and whether it is the batch tier, which Anthropic lists among them."""
    name = (text(value) or "").lower()
    name = _ALIASES.get(name, name)
    if not name or name in _STANDARD:
        return None, False
    return (None, True) if name == "batch" else (name, False)


def _speed(value: object) -> str | None:
    name = text(value)
    return None if name is None or name == "standard" else name


def _region(value: object) -> str | None:
    name = text(value)
    return None if name is None or name.lower() in _ANYWHERE else name.lower()
