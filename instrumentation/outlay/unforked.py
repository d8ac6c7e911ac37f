"""What no fork may come between, for the child would be left with half of it for good.

A module that another thread imports stays locked there. A file that was opened and is noted nowhere stays open, and so
does its lock. Whoever forks waits until that is over: milliseconds, seldom, and never for longer than `_MOST_S`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Final

_MOST_S: Final = 5.0
_whole = threading.RLock()


@contextlib.contextmanager
def unforked() -> Iterator[None]:
    """Others fork once it is over. The thread itself may: a signal's handler does as it likes."""
    with _whole:
        yield


def _before_fork() -> None:
    _whole.acquire(timeout=_MOST_S)


def _after_in_parent() -> None:
    with contextlib.suppress(RuntimeError):  # it was not to be had in time
        _whole.release()


def _after_in_child() -> None:
    global _whole
    _whole = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
