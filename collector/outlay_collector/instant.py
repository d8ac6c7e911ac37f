"""Moments as the database keeps them: nanoseconds since the epoch, UTC. A datetime is exact to the microsecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_ns(moment: datetime) -> int:
    """An aware datetime, whole microseconds, with no rounding on the way."""
    return (moment - _EPOCH) // _MICROSECOND * 1_000


def from_ns(moment_ns: int) -> datetime:
    """Aware UTC; what is below a microsecond is cut off."""
    return _EPOCH + timedelta(microseconds=moment_ns // 1_000)
