"""How much one API key may ask for: requests and bytes a minute, and bytes a request. Pure; the time is an argument.

What a minute allows is a bucket that starts full and fills evenly, so a key may use its minute at once and then waits.
Bytes are known once they have come, so a request may overdraw its bucket and the next ones wait until it is level.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final, Self

_MINUTE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """None: no limit but the collector's own."""

    requests_per_minute: int | None = None
    bytes_per_minute: int | None = None
    """As they come, compressed or not."""
    body_bytes: int | None = None
    """The most one request may hold, as it comes and inflated."""

    @classmethod
    def read(cls, kept: Mapping[str, int] | None) -> Self:
        """From `kept()`; what a later version may have added is passed over."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in (kept or {}).items() if name in known})

    def kept(self) -> dict[str, int] | None:
        """As the database keeps it; None where nothing is limited."""
        return {name: value for name, value in asdict(self).items() if value is not None} or None


class _Bucket:
    """What is left of a minute's worth."""

    def __init__(self, most: int, now_s: float) -> None:
        self.most = most
        self._level = float(most)
        self._at_s = now_s

    def wait_s(self, needed: float, now_s: float) -> float:
        """How long until that much is there; 0 where it is."""
        self._level = min(float(self.most), self._level + (now_s - self._at_s) * self.most / _MINUTE_S)
        self._at_s = now_s
        return max(0.0, needed - self._level) * _MINUTE_S / self.most

    def take(self, amount: float) -> None:
        self._level -= amount


class Meter:
    """What one key has used lately, whichever thread asks."""

    def __init__(self, quota: Quota, now_s: float) -> None:
        self.quota = quota
        self._lock = threading.Lock()
        self._requests = _Bucket(quota.requests_per_minute, now_s) if quota.requests_per_minute else None
        self._bytes = _Bucket(quota.bytes_per_minute, now_s) if quota.bytes_per_minute else None

    def wait_s(self, now_s: float) -> float:
        """How long one more request has to wait; where it has not, it is counted."""
        with self._lock:
            waits = [bucket.wait_s(1, now_s) for bucket in (self._requests, self._bytes) if bucket is not None]
            wait = max(waits, default=0.0)
            if not wait and self._requests is not None:
                self._requests.take(1)
            return wait

    def used(self, size: int) -> None:
        """Bytes that came with a request that was let in."""
        if self._bytes is not None:
            with self._lock:
                self._bytes.take(size)
