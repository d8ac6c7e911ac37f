"""Attribution from service to service, in W3C baggage: only the fields that an allow-list names.

Baggage travels in the headers of every request that an instrumented HTTP client sends, whoever answers it, and comes
from whoever sends one. So nothing is carried unless `OUTLAY_BAGGAGE` says so, and nothing carried goes to a provider:
it is taken out of the context while a call is being sent. The application's propagator does the rest; OpenTelemetry's
default one includes baggage.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from opentelemetry import baggage
from opentelemetry.context import Context, get_current

from outlay import attributes as at
from outlay.model import Attribution

_KEYS: Final = {"feature": at.FEATURE, "tenant": at.TENANT, "user": at.USER, "session": at.SESSION}
_TAG: Final = "tag."
FIELDS: Final = (*_KEYS, f"{_TAG}NAME")
"""What an allow-list may name."""

carried: dict[str, str] = {}
"""The fields that are carried, by their names in baggage. Looked at for every call: nearly always there are none."""


def is_field(name: str) -> bool:
    return name in _KEYS or (name.startswith(_TAG) and len(name) > len(_TAG))


def allow(names: Iterable[str]) -> None:
    """Carry those fields from now on, and no others."""
    global carried
    carried = {name: _KEYS.get(name) or at.TAG_PREFIX + name.removeprefix(_TAG) for name in names}


def with_attribution(said: Attribution) -> Context:
    """The current context, with what the allow-list lets out of the attribution."""
    context = get_current()
    for name, key in carried.items():
        value = _field(said, name)
        if value is not None:
            context = baggage.set_baggage(key, value, context)
    return context


def without_attribution(context: Context) -> Context:
    """The context as a provider may see it."""
    found = baggage.get_all(context)
    for key in carried.values():
        if key in found:
            context = baggage.remove_baggage(key, context)
    return context


def completed(said: Attribution) -> Attribution:
    """What the application says, and what the service that called it said where this one says nothing."""
    found = baggage.get_all()
    if not found:
        return said
    fields: dict[str, str] = {}
    tags: dict[str, str] = {}
    for name, key in carried.items():
        value = found.get(key)
        if value is None:
            continue
        if name.startswith(_TAG):
            tags[name.removeprefix(_TAG)] = str(value)
        elif getattr(said, name) is None:
            fields[name] = str(value)
    return replace(said, **fields, tags={**tags, **said.tags}) if fields or tags else said


def _field(said: Attribution, name: str) -> str | None:
    if name.startswith(_TAG):
        return said.tags.get(name.removeprefix(_TAG))
    value: str | None = getattr(said, name)
    return value
