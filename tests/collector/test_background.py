"""Work that is repeated beside the requests of a collector."""

from __future__ import annotations

import logging
import threading

import pytest
from outlay_collector.background import repeated

DEADLINE_S = 60.0


def test_work_that_fails_is_logged_and_done_again(caplog: pytest.LogCaptureFixture) -> None:
    tries, done = [], threading.Event()

    def work(_stop: threading.Event) -> None:
        tries.append(len(tries))
        if len(tries) < 3:
            raise OSError("the database is away")
        done.set()

    with caplog.at_level(logging.ERROR), repeated("counting", 0.001, work, at_once=True):
        assert done.wait(DEADLINE_S)
    said = [message for message in caplog.messages if message.startswith("counting")]  # work of others may fail too
    assert said == ["counting failed; tried again in 0.001 s"] * 2


def test_the_end_of_the_block_is_told_to_the_work_and_waited_for() -> None:
    begun, ended = threading.Event(), threading.Event()

    def work(stop: threading.Event) -> None:
        begun.set()
        assert stop.wait(DEADLINE_S)
        ended.set()

    with repeated("waiting", 3600, work, at_once=True):
        assert begun.wait(DEADLINE_S)
    assert ended.is_set()


def test_work_is_not_done_before_its_first_pause_unless_at_once() -> None:
    done = threading.Event()
    with repeated("resting", 3600, lambda _stop: done.set()):
        pass
    assert not done.is_set()
