"""What a dialect is, and what all of them read alike: the attribution, the terms, and values of doubtful type."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

from outlay.model import Attribution, Terms
from outlay.names import LONGEST as LONGEST_TEXT
from outlay.providers.tiers import served_terms

from outlay_collector.billing import Report
from outlay_collector.otlp.span import Origin, Span

MOST_TAGS: Final = 32
MOST_RETRIES: Final = 1_000
MOST_UNITS: Final = 10**12
"""More of a unit than any call can use: a count above it is taken for no count."""

_TIER: Final = (
    "openai.response.service_tier",
    "anthropic.response.service_tier",
    "gen_ai.response.service_tier",
    "gen_ai.openai.response.service_tier",
)
_ENVIRONMENT: Final = ("deployment.environment.name", "deployment.environment", "langfuse.environment")
_USER: Final = (
    "user.id",
    "enduser.id",
    "enduser.pseudo.id",
    "gen_ai.user",
    "traceloop.association.properties.user_id",
    "langfuse.user.id",
    "ai.telemetry.metadata.userId",
    "metadata.user_api_key_end_user_id",
    "metadata.user_api_key_user_id",
)
_SESSION: Final = (
    "session.id",
    "gen_ai.conversation.id",
    "traceloop.association.properties.session_id",
    "langfuse.session.id",
    "ai.telemetry.metadata.sessionId",
    "conversation.id",
)
_FEATURE: Final = ("outlay.feature", "ai.telemetry.functionId")
_TENANT: Final = ("outlay.tenant", "metadata.user_api_key_team_alias", "metadata.user_api_key_team_id")
_WHO: Final = {
    "service": ("service.name",),
    "environment": _ENVIRONMENT,
    "feature": _FEATURE,
    "user": _USER,
    "tenant": _TENANT,
    "session": _SESSION,
}
"""Under which names each part of an attribution stands, the newest first."""
TAG: Final = "outlay.tag."

SHARED_KEYS: Final = frozenset((*_TIER, *_ENVIRONMENT, *_USER, *_SESSION, *_FEATURE, *_TENANT, "service.name"))
SHARED_PREFIXES: Final = (TAG,)


class Dialect(Protocol):
    """One vocabulary of span attributes."""

    @property
    def name(self) -> str:
        """What reports are marked with."""

    @property
    def note(self) -> str:
        """Who speaks it, what it does in its own way, and in which version it was looked at."""

    @property
    def keys(self) -> frozenset[str]:
        """Every attribute it reads."""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Families of attributes it reads."""

    def claims(self, scope_name: str, name: str, names: frozenset[str]) -> bool:
        """Whether a span of that scope and name that has attributes of those names speaks this dialect. The registry
        asks in order, once for all such spans; the first that claims them reads them."""

    def read(self, span: Span) -> Report | None:
        """What the span says of its call; None where it is none. Raises nothing, whatever the attributes hold."""

    def step(self, span: Span) -> str | None:
        """What kind of step a span is that is no call (agent, tool, chain, retrieval); None where it is of no interest.
        Asked where `read` gave None."""


def first(attributes: Mapping[str, Any], names: Iterable[str]) -> Any:
    """The value under the first of the names that has one: newest names first."""
    for name in names:
        if (value := attributes.get(name)) is not None:
            return value
    return None


def newest(synonyms: Iterable[str], names: frozenset[str]) -> str:
    """The first of the synonyms that is among the names; empty where none is."""
    return next((name for name in synonyms if name in names), "")


def text(value: object) -> str | None:
    """A short text, None where there is none. Cut at `LONGEST_TEXT`; without NUL, which Postgres cannot hold."""
    if value is None:
        return None
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT or "\0" in value:
            value = value[:LONGEST_TEXT].replace("\0", "")
        return value or None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)[:LONGEST_TEXT]
    return None


def count(value: object) -> int | None:
    """A count of something, None where it is not one: senders put texts, floats and worse where counts belong."""
    if type(value) is int:
        return value if 0 <= value <= MOST_UNITS else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 13:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_UNITS:
        return value
    return None


def http_status(value: object) -> int | None:
    status = value if type(value) is int else count(value)
    return status if status is not None and 100 <= status < 600 else None


def milliseconds(seconds: object) -> float | None:
    """A duration given in seconds, None where it is none or cannot be."""
    if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 <= seconds < math.inf:
        return seconds * 1000
    return None


def _names(names: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """What a span or resource says of who made the call, and under which name, the newest where there are several."""
    return tuple((field, name) for field, synonyms in _WHO.items() if (name := newest(synonyms, names)))


def attribution_of(span: Span) -> Attribution:
    """Who made the call, from the span and, for what it leaves out, its resource."""
    attributes, said = span.attributes, _of_resource(span.origin).copy()
    for field, name in attributes.shape.known(_names):
        if found := text(attributes.named[name]):
            said[field] = found
    if attributes.families:
        said["tags"] = dict(said["tags"])
        _add_tags(said["tags"], attributes.families)
    return Attribution(**said)


@lru_cache(maxsize=8)
def _of_resource(origin: Origin) -> dict[str, Any]:
    """What a resource says for all its spans; whose user and session it was is only a span's to say."""
    resource = origin.resource
    said: dict[str, Any] = {
        field: text(resource.named[name])
        for field, name in resource.shape.known(_names)
        if field not in ("user", "session")
    }
    said["tags"] = {}
    _add_tags(said["tags"], resource.families)
    return said


def _add_tags(tags: dict[str, str], families: Mapping[str, Any]) -> None:
    for key, value in families.items():
        if key.startswith(TAG) and len(tags) < MOST_TAGS and (said := text(value)) is not None:
            tags[key[len(TAG) :][:LONGEST_TEXT]] = said


def terms_of(span: Span) -> Terms:
    """The terms the provider says it served the call under."""
    attributes = span.attributes
    return served_terms(None, attributes.named.get(attributes.shape.known(_tier)))


def _tier(names: frozenset[str]) -> str:
    return newest(_TIER, names)


def error_of(span: Span) -> str | None:
    """The type of the error a span ended with, None where it ended well."""
    said = text(span.attributes.named.get("error.type"))
    if said or span.status_code == 2:
        return said or text((span.exception_type or "").rsplit(".", 1)[-1]) or "error"
    return None
