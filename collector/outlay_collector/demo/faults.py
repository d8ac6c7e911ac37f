"""What goes wrong at the fake provider, and when: by chance from the seed, or asked for in one request.

A client asks with the header `x-fault`, a comma-separated list: `429`, `500` or `529` fails every attempt, `429x2` the
first two, `slow=0.2` waits that many seconds before the first byte, `pace=0.01` between the events of a stream, and
`cut=3` drops the connection after three events. Attempts are told apart by `x-stainless-retry-count`, which
both SDKs send.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Final

HEADER: Final = "x-fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to one attempt. `status` None: it is answered. Waits are seconds; `cut` counts events."""

    status: int | None = None
    slow_s: float = 0.0
    pace_s: float = 0.0
    cut: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """How often an attempt is rate limited or fails, each a share of 1, and how long every answer takes to begin.

    `first_byte_s` are the shortest and the longest wait; most waits are nearer the shortest, as they are in life.
    """

    rate_limited: float = 0.0
    failed: float = 0.0
    first_byte_s: tuple[float, float] = (0.0, 0.0)
    retry_after_s: float = 0.02

    def draw(self, draw: Random) -> Fault:
        at = draw.random()
        if at < self.rate_limited:
            return Fault(status=429)
        if at < self.rate_limited + self.failed:
            return Fault(status=500)
        shortest, longest = self.first_byte_s
        return Fault(slow_s=shortest + (longest - shortest) * draw.random() ** 3)


def asked(headers: Mapping[str, str]) -> Fault | None:
    """The fault this request asks for, None where it asks for none. Raises ValueError for words it does not know."""
    text = headers.get(HEADER)
    if text is None:
        return None
    attempt = int(headers.get("x-stainless-retry-count", "0"))
    fault = Fault()
    for word in text.split(","):
        name, _, value = word.strip().partition("=")
        if name == "slow":
            fault = replace(fault, slow_s=float(value))
        elif name == "pace":
            fault = replace(fault, pace_s=float(value))
        elif name == "cut":
            fault = replace(fault, cut=int(value))
        else:
            status, _, times = name.partition("x")
            if not times or attempt < int(times):
                fault = replace(fault, status=int(status))
    return fault
