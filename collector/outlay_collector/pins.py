"""What an API key says of whoever sends with it: attribution that stands whatever the spans say.

So that chargeback can be trusted: an application that is given a key with `tenant=acme` spends for acme, also where it
says that it is someone else, or nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Final

from outlay.errors import OutlayError, nearest
from outlay.model import Attribution

from outlay_collector.billing import Report
from outlay_collector.store.query import TAG, is_dimension

Pins = Mapping[str, str]
"""Dimension to value: `tenant`, `tag.team` and so on."""

NAMES: Final = tuple(field.name for field in fields(Attribution) if field.name != "tags")
_LONGEST: Final = 200


class BadPin(OutlayError):
    """A pin that cannot be: the message says which, and what would do."""


def read_pins(given: Iterable[str]) -> dict[str, str]:
    """Pins from texts like `tenant=acme` and `tag.team=search`. Raises `BadPin`."""
    pins: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not value.strip() or len(value) > _LONGEST:
            raise BadPin(f"{text!r}: expected a dimension and its value, such as tenant=acme")
        if name not in NAMES and not (name.startswith(TAG) and is_dimension(name)):
            known = (*NAMES, "tag.NAME")
            raise BadPin(f"{text!r}: expected one of {', '.join(known)} before the sign{nearest(name, known)}")
        if name in pins:
            raise BadPin(f"{name}: it can be pinned to one value only")
        pins[name] = value
    return pins


def pinned(report: Report, pins: Pins) -> Report:
    """The report of a sender with those pins."""
    who = report.call.attribution
    tags = {name.removeprefix(TAG): value for name, value in pins.items() if name.startswith(TAG)}
    named = {name: value for name, value in pins.items() if name in NAMES}
    return replace(
        report,
        call=replace(report.call, attribution=replace(who, **named, tags={**who.tags, **tags} if tags else who.tags)),
    )
