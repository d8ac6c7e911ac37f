"""What takes a while, done by a thread of ours while the application's waits.

What is raised in the waiting thread is then no failure of ours but what a handler of the application's signals raised,
and it passes. A handler may come here too: the thread that it interrupted waits, and holds nothing of ours.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


def do_apart(done: Future[T], task: Callable[[], T], timeout_s: float | None = None) -> None:
    """Have `done` tell what `task` gives or raises, or not yet, where it takes longer. Done in this thread where no
    other can be started: while the interpreter ends, or where the system has no more."""
    context = copy_context()
    try:
        threading.Thread(target=context.run, args=(_do, done, task), name="outlay-apart", daemon=True).start()
    except RuntimeError:
        context.run(_do, done, task)
    wait((done,), timeout_s)


def _do(done: Future[T], task: Callable[[], T]) -> None:
    try:
        found = task()
    except BaseException as error:  # noqa: BLE001 - raised where it is asked for
        done.set_exception(error)
    else:
        done.set_result(found)
