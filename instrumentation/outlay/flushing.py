"""`flush()`: what waits is sent now, budgets first, in the time there is.

Done apart from the thread that asks for it, which may have been interrupted in the middle of the same, or with any lock
of ours in its hand: it waits for as long as it said, and a moment for what was under way to be noted.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from functools import partial
from typing import Final

from outlay.apart import do_apart
from outlay.installation import runtime
from outlay.runtime import Runtime

_MOST_S: Final = 86_400
"""Clocks of systems end somewhere, and infinity is more than any of them has."""
_MOMENT_S: Final = 1.0


def flush(timeout_s: float) -> bool:
    """Whether all was sent that waited."""
    running = runtime()
    if running is None or (running.delivery.is_empty and getattr(running.gate, "is_settled", True)):
        return True
    timeout_s = min(timeout_s, _MOST_S)
    flushed: Future[bool] = Future()
    do_apart(flushed, partial(_flush, running, time.monotonic() + timeout_s), timeout_s + _MOMENT_S)
    return flushed.done() and flushed.result()


def _flush(running: Runtime, until: float) -> bool:
    def left_s() -> float:
        return max(0.0, until - time.monotonic())

    running.delivery.conclude(left_s())  # what calls have cost is told of them when they are concluded
    settle = getattr(running.gate, "flush", None)
    are_settled = settle is None or settle(left_s())
    return running.delivery.flush(left_s()) and bool(are_settled)
