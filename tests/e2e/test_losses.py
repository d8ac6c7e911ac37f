"""Applications that are killed and collectors that are away: every call made is in the store once, or is counted."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import outlay
import pytest

from tests.instrumentation import application
from tests.instrumentation.slow_collector import slow_collector
from tests.waiting import until

if TYPE_CHECKING:
    from tests.conftest import CollectorProcess, Provider


pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the spool needs the file locks of POSIX")

KILLS = int(os.environ.get("OUTLAY_TEST_KILLS", "3"))
"""More of them for a longer look."""


class Application:
    """An application under load; what it says is read by a thread, so that it never waits for us."""

    def __init__(self, collector_url: str, provider: Provider, act: str, count: int) -> None:
        command = [sys.executable, application.__file__, collector_url, provider.openai, act, str(count)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ids: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.ids.extend(line.strip() for line in self.process.stdout if line.startswith("chatcmpl"))

    def end(self, number: signal.Signals | None = None) -> int:
        if number is not None:
            self.process.send_signal(number)
        self.process.wait(120)
        self._reader.join()
        with self.process:
            return self.process.returncode


def stored(collector: CollectorProcess) -> list[str]:
    """The response ids of all calls."""
    ids, cursor = [], None
    while True:
        page = collector.get("/api/v1/calls", limit="500", **({"cursor": cursor} if cursor else {}))
        ids += [collector.get(f"/api/v1/calls/{call['id']}")["response_id"] for call in page["calls"]]
        if (cursor := page["next_cursor"]) is None:
            return ids


def settle(collector: CollectorProcess, spool_dir: Path) -> None:
    """Another process starts, and takes over what the dead have left."""
    left = list(spool_dir.glob("*"))
    outlay.instrument("openai", endpoint=collector.url)
    until(lambda: not any(path.exists() for path in left), "files of the dead are still there")
    outlay.uninstrument()


def test_after_kill_9_under_load_every_call_is_in_the_store_once_or_counted(
    outlay_process: CollectorProcess, fake_provider: Provider, spool_dir: Path
) -> None:
    chance = random.Random(20261121)
    log = fake_provider.log.entries
    had: list[str] = []
    for _ in range(KILLS):
        seen, more = len(log), chance.randint(1, 400)
        apps = [Application(outlay_process.url, fake_provider, "load", 4) for _ in range(2)]
        until(lambda seen=seen, more=more: len(log) >= seen + more, "load", 60)
        for app in apps:
            assert app.end(signal.SIGKILL) == -signal.SIGKILL
            had += app.ids
        settle(outlay_process, spool_dir)
    made = {entry.response_id for entry in log if entry.response_id}
    there = stored(outlay_process)
    lost = outlay_process.get("/api/v1/losses")["by_reason"]
    assert len(there) == len(set(there))
    assert set(there) <= made
    assert set(lost) <= {"killed", "killed_under_way"}
    # What the application had an answer for is in the store, or counted to the call as over or, where the kill came
    # between the answer and its end, as under way. What it had none for the provider may have made all the same.
    assert len(set(had) - set(there)) <= sum(lost.values())
    assert len(made - set(there)) <= sum(lost.values())
    assert lost.get("killed", 0) <= len(made - set(there))


def test_a_collector_that_was_away_for_the_whole_run_has_every_call_once_in_the_end(
    outlay_process: CollectorProcess, fake_provider: Provider, spool_dir: Path
) -> None:
    outlay_process.stop()
    apps = [Application(outlay_process.url, fake_provider, "call", 20) for _ in range(3)]
    assert [app.end() for app in apps] == [0, 0, 0]
    made = [entry.response_id for entry in fake_provider.log.entries]
    assert len(made) == 60
    outlay_process.start()
    settle(outlay_process, spool_dir)
    assert sorted(stored(outlay_process)) == sorted(made)
    assert outlay_process.get("/api/v1/losses", **{"from": "2020-01-01T00:00:00Z"})["calls"] == 0


@pytest.mark.parametrize(("late_s", "drops"), [(60.0, False), (0.0, True)], ids=["late", "in drops"])
def test_a_collector_that_answers_too_slowly_has_every_call_once_in_the_end(
    outlay_process: CollectorProcess, fake_provider: Provider, spool_dir: Path,
    monkeypatch: pytest.MonkeyPatch, late_s: float, drops: bool,
) -> None:  # fmt: skip
    monkeypatch.setenv("OUTLAY_EXPORT_TIMEOUT_S", "0.5")
    monkeypatch.setenv("OUTLAY_EXPORT_INTERVAL_S", "0.05")
    monkeypatch.setenv("OUTLAY_EXIT_FLUSH_S", "0.5")
    with slow_collector(outlay_process.url) as slow:
        slow.late_s, slow.drops = late_s, drops
        apps = [Application(slow.url, fake_provider, "call", 10) for _ in range(3)]
        assert [app.end() for app in apps] == [0, 0, 0]
        made = [entry.response_id for entry in fake_provider.log.entries]
        assert sorted(made) == sorted(id_ for app in apps for id_ in app.ids)
        assert slow.asked
        left = list(spool_dir.glob("*"))
        assert left  # it was asked, and no answer came in time
        slow.late_s, slow.drops = 0.0, False
        monkeypatch.setenv("OUTLAY_EXPORT_TIMEOUT_S", "10")
        outlay.instrument("openai", endpoint=slow.url)
        until(lambda: not any(path.exists() for path in left), "files of the dead are still there")
        outlay.uninstrument()
    assert sorted(stored(outlay_process)) == sorted(made)
    assert outlay_process.get("/api/v1/losses", **{"from": "2020-01-01T00:00:00Z"})["calls"] == 0
