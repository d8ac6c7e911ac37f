"""How two spans stand to each other in their traces, as far as the spans above them are known.

Parents may be missing: not come yet, or let go because they are no business of a ledger's (a server's span, the
application's own). Where the way up from one of the two ends at one that is missing, the other may be beyond it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

SpanKey = tuple[str, str]
"""Trace id and span id, in hex."""
Parents = Mapping[SpanKey, str | None]
"""The parent of each span that is known; None where it begins its trace."""
_MOST_STEPS: Final = 256


class Place(IntEnum):
    """What is known of two spans' places, the nearest first."""

    ABOVE = 0
    """One of them is somewhere above the other."""
    UNKNOWN = 1
    """One may be above the other: a span between them is missing."""
    BESIDE = 2
    """In one trace, and neither is above the other."""
    APART = 3
    """In two traces."""


class Paths:
    """The ways up from spans, each gone once."""

    def __init__(self, parents: Parents) -> None:
        self._parents = parents
        self._gone: dict[SpanKey, dict[str | None, None]] = {}

    def place_of(self, outer: SpanKey, inner: SpanKey) -> Place:
        """How the two stand to each other. A ring of parents is as good as none."""
        if outer[0] != inner[0]:
            return Place.APART
        over_outer, over_inner = self._above(outer), self._above(inner)
        if outer[1] in over_inner or inner[1] in over_outer:
            return Place.ABOVE
        begins = None in over_inner
        return Place.BESIDE if begins or not over_inner.keys().isdisjoint(over_outer) else Place.UNKNOWN

    def _above(self, span: SpanKey) -> dict[str | None, None]:
        found = self._gone.get(span)
        if found is None:
            found = self._gone[span] = _above(span, self._parents)
        return found


def _above(span: SpanKey, parents: Parents) -> dict[str | None, None]:
    """The spans above it, the nearest first. The last is None where the trace is known to begin there, else one whose
    own parent is not known."""
    trace_id, span_id = span
    found: dict[str | None, None] = {}
    at: str | None = span_id
    while at is not None and (trace_id, at) in parents and len(found) < _MOST_STEPS:
        at = parents[trace_id, at]
        if at in found:
            return {}
        found[at] = None
    return found
