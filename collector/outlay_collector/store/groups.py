"""Reports that are one call, joined one by one; what two of them say may tell them apart.

A call may be told of by thousands of spans, each inside the last: what tells it apart is kept as sets, and added to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from outlay_collector.billing import Report, Source

T = TypeVar("T")
_Place = tuple[str, str, str | None]


@dataclass(slots=True)
class _Told:
    """Response ids, and where who told of the call: everywhere but in log records, and of that without an id."""

    ids: set[str]
    places: set[_Place]
    without_id: set[_Place]
    scopes: set[str]

    @classmethod
    def by(cls, members: Iterable[Report]) -> _Told:
        spans = [r for r in members if r.source is not Source.RECORD]
        return cls(
            {r.call.response_id for r in members if r.call.response_id},
            {_place(r) for r in spans},
            {_place(r) for r in spans if not r.call.response_id},
            {r.scope for r in members},
        )

    def add(self, other: _Told) -> None:
        self.ids = _union(self.ids, other.ids)
        self.places = _union(self.places, other.places)
        self.without_id = _union(self.without_id, other.without_id)
        self.scopes = _union(self.scopes, other.scopes)


@dataclass(slots=True, eq=False)
class Group:
    """Reports that are one call. `call_ids` are the calls they were stored as so far: none, one, or several, under
    `stored_keys`."""

    members: tuple[Report, ...]
    fresh: tuple[Report, ...] = ()
    call_ids: frozenset[int] = frozenset()
    stored_keys: frozenset[str] = frozenset()
    joined: Group | None = None
    _told: _Told | None = None

    @classmethod
    def of_one(cls, report: Report) -> Group:
        """What most are: one report, which came just now."""
        alone = (report,)
        return cls(alone, alone)

    def root(self) -> Group:
        """The group this one has become a part of, or itself. Shortens the way for who asks next."""
        group = self
        while (joined := group.joined) is not None:
            if joined.joined is not None:
                group.joined = joined.joined
            group = joined
        return group

    def join(self, other: Group, *, by_key: bool = False) -> bool:
        """Make the two one, unless something tells them apart. Whether they are one now. `by_key`: they have the key
        of a bill in common."""
        one, other = self.root(), other.root()
        if one is not other and one._may_be(other, by_key):
            one.members += other.members
            one.fresh += other.fresh
            one.call_ids |= other.call_ids
            one.stored_keys |= other.stored_keys
            one.told().add(other.told())
            other.joined = one
            return True
        return one is other

    def is_told_by_others(self, other: Group) -> bool:
        """Whether no instrumentation tells of both."""
        return self.told().scopes.isdisjoint(other.told().scopes)

    def told(self) -> _Told:
        """Worked out when it is first asked for: most groups are never compared."""
        if self._told is None:
            self._told = _Told.by(self.members)
        return self._told

    def _may_be(self, other: Group, by_key: bool) -> bool:
        """Not where response ids differ, nor where one instrumentation tells of both side by side, unless under one
        key."""
        one, another = self.told(), other.told()
        if len(one.ids | another.ids) > 1:
            return False
        return by_key or one.without_id.isdisjoint(another.places)


def _place(report: Report) -> _Place:
    return report.scope, report.trace_id, report.parent_span_id


def _union(one: set[T], other: set[T]) -> set[T]:
    """Of both, in the larger of the two: neither is asked for any more."""
    larger, smaller = (one, other) if len(one) >= len(other) else (other, one)
    larger |= smaller
    return larger
