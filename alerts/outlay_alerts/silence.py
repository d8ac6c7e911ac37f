"""Silences: what is not told of, until when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from outlay_alerts.alert import Transition


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Holds back alerts that have all of `match`: `rule`, `severity` and the dimensions of the group, by their names.

    From `starts_at` until `ends_at`, aware UTC. `id` is None before it is stored.
    """

    match: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime
    comment: str = ""
    id: int | None = field(default=None, compare=False)

    def covers(self, transition: Transition, now: datetime) -> bool:
        if not self.starts_at <= now < self.ends_at:
            return False
        named = {**dict(transition.group), "rule": transition.rule, "severity": transition.severity.value}
        return all(named.get(name) == value for name, value in self.match.items())


def silenced(transition: Transition, silences: Iterable[Silence], now: datetime) -> Silence | None:
    """The silence that holds it back now, if one does."""
    return next((silence for silence in silences if silence.covers(transition, now)), None)
