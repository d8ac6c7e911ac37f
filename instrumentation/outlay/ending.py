"""The ends of a process that can be seen coming: its exit, that of a multiprocessing child, and SIGTERM.

Everything is taken back by `undo`. SIGTERM is waited for only where the application has left it to the system, which
ends the process at once: then what waits is sent first, and the process still dies by that signal. An application, or a
server such as gunicorn or uvicorn, that handles it exits in its own way, which is seen as an exit.
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

_LAST_MOMENT_S: Final = 1.0
_LAST: Final = -100
_FORKERS: Final = ("multiprocessing", "billiard")
"""Whose children end by `os._exit`, after finalizers of their own. The second is celery's."""


class Ending:
    """Has `close` called before the process is gone, for `close_s` at most where a signal ends it. Of several in a
    process one waits for the signal, and has them all closed."""

    _open: Final[list[Ending]] = []

    def __init__(self, close: Callable[[], None], close_s: float) -> None:
        self._close = close
        self._close_s = close_s
        self._finalizers: list[Any] = []
        self._handles_sigterm = False
        atexit.register(close)
        self._open.append(self)
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._terminated)
            self._handles_sigterm = True

    def watch_child(self) -> None:
        """In a process that makes calls: a child of `multiprocessing` or celery skips the exit others make."""
        self._finalizers.clear()
        for name in _FORKERS:
            process, util = (sys.modules.get(f"{name}.{part}") for part in ("process", "util"))
            if process and util and type(process.current_process()).__name__ != "_MainProcess":
                self._finalizers.append(util.Finalize(None, self._close, exitpriority=_LAST))

    def undo(self) -> None:
        """Take everything back. Does nothing the second time."""
        atexit.unregister(self._close)
        if self in self._open:
            self._open.remove(self)
        for finalizer in self._finalizers:
            finalizer.cancel()
        self._finalizers.clear()
        is_main = threading.current_thread() is threading.main_thread()
        if self._handles_sigterm and is_main and signal.getsignal(signal.SIGTERM) == self._terminated:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        """In another thread, and for so long at most: this one may have been interrupted with any lock in its hand."""
        done = _thread.allocate_lock()
        done.acquire()

        def close() -> None:
            try:
                for ending in list(self._open):
                    ending._close()
            finally:
                done.release()

        _thread.start_new_thread(close, ())
        done.acquire(timeout=self._close_s + _LAST_MOMENT_S)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
