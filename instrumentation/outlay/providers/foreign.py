"""Taking fields of a known type out of decoded JSON that nobody vouches for.

A response may be cut, proxied or made up; a field of the wrong type is treated as one that is missing. Counts are
stricter, because a wrong one is money: they live in `counts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeGuard

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether the value is an object. Nearly all are dicts, for which the abstract class takes ten times as long."""
    return type(value) is dict or isinstance(value, Mapping)


def has(raw: Mapping[str, Any], field: str) -> bool:
    """Whether the field says something. A null says no more than a field that is left out: who passes a response on
    writes what it has no value for either way."""
    return raw.get(field) is not None


def text(value: object) -> str | None:
    """The value where it is a string that says something, else None."""
    return value if isinstance(value, str) and value else None


def first_text(raw: Mapping[str, Any], *fields: str) -> str | None:
    """The first of these fields that holds text."""
    for field in fields:
        value = raw.get(field)
        if isinstance(value, str) and value:
            return value
    return None


def mapping(value: object) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one."""
    if type(value) is dict:
        return value
    return value if value is not None and isinstance(value, Mapping) else NOTHING


def mappings(value: object) -> Iterator[Mapping[str, Any]]:
    """The objects of a list; nothing where it is no list."""
    if isinstance(value, (list, tuple)):
        for item in value:
            if is_mapping(item):
                yield item


def texts(*values: object) -> tuple[str, ...]:
    """Those of the values that are text, each once, in order."""
    if len(values) == 1:
        return (values[0],) if isinstance(values[0], str) and values[0] else ()
    return tuple(dict.fromkeys(v for v in values if isinstance(v, str) and v))
