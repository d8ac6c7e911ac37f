"""What tests of real processes wait for, and where those listen."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


def until(condition: Callable[[], Any], what: str, timeout_s: float = 60) -> Any:
    """The first true value of `condition`, asked again and again; fails the test where none comes in time."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {timeout_s} s")
        time.sleep(0.01)
    return found


@contextmanager
def own_port() -> Iterator[int]:
    """A port of loopback on which nobody listens but who is told of it, between two starts too. It is bound and does
    not listen, which servers do not mind: they say SO_REUSEADDR."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
