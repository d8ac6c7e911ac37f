"""Asking the collector from an event loop: in a thread of ours, so that the loop goes on meanwhile.

The loop's own threads are the application's (its names are looked up there): a slow collector must not take them.
"""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Final

from outlay.budgets.gate import Reservation

_MOST_THREADS: Final = 4
"""One asks for an account, the others find what it got."""
_threads: ThreadPoolExecutor | None = None


async def in_thread(ask: Callable[[], Reservation]) -> Reservation:
    """What `ask` gives or raises. Where the task is cancelled meanwhile, what was set aside for it is given back."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
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
