"""Work that a running collector does again and again beside its requests, each kind in a thread of its own.

What is done, and what it means that it failed, is the business of whoever hands it over.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def repeated(
    name: str,
    every_s: float,
    work: Callable[[threading.Event], object],
    *,
    at_once: bool = False,
    end_within_s: float | None = None,
) -> Iterator[None]:
    """Does the work every so often while the block runs, the first time at once or after one pause.

    It goes on whatever happens: a database that is away for a minute must not be the end of it. The work is given the
    event that is set when the block ends, and should then come to its own end; the block waits for that, or for as
    long as `end_within_s`.
    """
    stop = threading.Event()

    def run() -> None:
        if not at_once and stop.wait(every_s):
            return
        while True:
            try:
                work(stop)
            except Exception:
                log.exception("%s failed; tried again in %g s", name, every_s)
            if stop.wait(every_s):
                return

    thread = threading.Thread(target=run, name=f"outlay-{name.replace(' ', '-')}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(end_within_s)
