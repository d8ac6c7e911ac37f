"""What the blocks that are open here have to put back when they are left.

Noted in the context they were entered in, not in the object: tasks and threads may share one, and enter and leave it by
turns.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Generic, TypeVar

T = TypeVar("T")


class Blocks(Generic[T]):
    """The open blocks of one kind, inner ones last."""

    def __init__(self, name: str) -> None:
        self._open: ContextVar[tuple[tuple[object, T], ...]] = ContextVar(name, default=())

    def enter(self, block: object, outside: T) -> None:
        self._open.set((*self._open.get(), (block, outside)))

    def leave(self, block: object) -> T | None:
        """What was outside of it; None where it was entered elsewhere. A block inside may be open still, in a generator
        that waits."""
        entered = self._open.get()
        for at in range(len(entered) - 1, -1, -1):
            if entered[at][0] is block:
                self._open.set((*entered[:at], *entered[at + 1 :]))
                return entered[at][1]
        return None
