"""Asking the collector in a thread of ours: from an event loop, which goes on meanwhile, and from where signals arrive.

The loop's own threads are the application's (its names are looked up there): a slow collector must not take them.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Final

from outlay.apart import do_apart
from outlay.budgets.gate import Reservation

_MOST_THREADS: Final = 32
"""One asks for an account, the others find what it got, and those of another account must not wait for them."""
_threads: ThreadPoolExecutor | None = None


def is_interruptible() -> bool:
    """Whether handlers of signals may raise here: in the main thread, and where a loop runs it sees to them itself."""
    return threading.current_thread() is threading.main_thread() and not is_in_event_loop()


def is_in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def waited_for(ask: Callable[[], Reservation]) -> Future[Reservation]:
    """What `ask` gave or raised. Raises what a signal's handler raises meanwhile: then what was set aside is given
    back."""
    asked: Future[Reservation] = Future()
    try:
        do_apart(asked, ask)
    except BaseException:
        asked.add_done_callback(_give_back)
        raise
    return asked


async def in_thread(ask: Callable[[], Reservation]) -> Reservation:
    """What `ask` gives or raises. Where the task is cancelled meanwhile, what was set aside for it is given back."""
    if not is_in_event_loop():
        return await _in_other_loop(ask)
    asked = _pool().submit(copy_context().run, ask)
    try:
        return await asyncio.wrap_future(asked)
    except asyncio.CancelledError:
        asked.add_done_callback(_give_back)
        raise


async def _in_other_loop(ask: Callable[[], Reservation]) -> Reservation:
    """Under trio: the SDKs run there through anyio, so that it is there."""
    found: list[Reservation] = []
    try:
        await importlib.import_module("anyio.to_thread").run_sync(lambda: found.append(ask()))
    except BaseException:
        for reservation in found:
            reservation.settle(None)
        raise
    return found[0]


def _give_back(asked: Future[Reservation]) -> None:
    if not asked.cancelled() and asked.exception() is None:
        asked.result().settle(None)


def _pool() -> ThreadPoolExecutor:
    global _threads
    if _threads is None:
        _threads = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="outlay-budgets-ask")
    return _threads


def _forget_threads() -> None:
    """In a forked child: the threads were not copied."""
    global _threads
    _threads = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
