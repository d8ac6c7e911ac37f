"""What tests of ended processes share: an application that can be killed, and what one finds on disk of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Final

import outlay
import pytest
from outlay import installation
from outlay.export import Delivery
from outlay.framing import read_records
from outlay.tally import read_tally

from tests.conftest import Provider
from tests.instrumentation import application
from tests.instrumentation.doubles import Receiver
from tests.waiting import until

NEEDS_FILE_LOCKS: Final = pytest.mark.skipif(not hasattr(os, "fork"), reason="the spool needs the file locks of POSIX")


class Application:
    """A process that makes calls: `ids` are those of the answers it has had."""

    def __init__(self, collector: str, provider: Provider, act: str, count: int = 1, **variables: str) -> None:
        command = [sys.executable, application.__file__, collector, provider.openai, act, str(count)]
        self._process = subprocess.Popen(
            command, env={**os.environ, **variables}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ids: list[str] = []
        _started.append(self._process)

    @property
    def _output(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def read_until(self, said: str) -> None:
        for line in self._output:
            if line.strip() == said:
                return
            self.ids.append(line.strip())
        pytest.fail(f"the application ended before it said {said!r}")

    def call(self, count: int) -> None:
        """Make so many calls more, where it waits."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        self.read_until("waiting")

    def end(self, number: signal.Signals | None = None) -> int:
        """Its exit status, as `subprocess` has it, once all it said was read."""
        assert self._process.stdin is not None
        if number is not None:
            self._process.send_signal(number)
        self._process.stdin.close()
        with self._process:
            self.ids += [line.strip() for line in self._output]
        return self._process.returncode


_started: list[subprocess.Popen[str]] = []


def end_all() -> None:
    """Whatever became of the test."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            process.kill()
            process.communicate()


def delivery() -> Delivery:
    running = installation.runtime()
    assert running is not None
    return running.delivery


def segments(spool_dir: Path) -> list[Path]:
    return sorted(spool_dir.glob("*.calls"))


def on_disk(spool_dir: Path) -> int:
    return sum(record.calls for path in segments(spool_dir) for record in read_records(path.read_bytes()))


def counted(spool_dir: Path) -> int:
    """How many calls processes say they have written down. They say so just after it: one that is killed in between
    leaves both, the calls and their marks."""
    left = (read_tally(path.stem, path.read_bytes()) for path in spool_dir.glob("*.tally"))
    return sum(tally.kept for tally in left if tally is not None)


def inherit(receiver: Receiver, spool_dir: Path) -> None:
    """Another process starts, and all that others have left is gone."""
    outlay.instrument("openai", endpoint=receiver.url)
    until(lambda: not left_by_others(spool_dir), "files of the dead are still there")
    outlay.uninstrument()
    assert list(spool_dir.glob("*")) == []


def left_by_others(spool_dir: Path) -> list[Path]:
    own = delivery().tally.who.holder
    return [path for path in spool_dir.glob("*") if own not in path.name]


def lost(receiver: Receiver) -> dict[str, int]:
    """By reason, over all processes."""
    found: dict[str, int] = {}
    for (_, reason), calls in receiver.losses.items():
        found[reason] = found.get(reason, 0) + calls
    return found


def killed_with_calls_on_disk(receiver: Receiver, provider: Provider, spool_dir: Path, *calls: int) -> Application:
    """An application that was killed after so many calls and so many more, all of them on disk, counted as such, and
    none with the collector. What one number says was there before the next calls were made: no record holds calls of
    both."""
    app = Application(receiver.url, provider, "wait", 0, OUTLAY_EXPORT_INTERVAL_S="60")
    app.read_until("waiting")
    for count in calls:
        app.call(count)
        until(lambda: on_disk(spool_dir) == counted(spool_dir) == len(app.ids), "its calls on disk")
    assert app.end(signal.SIGKILL) == -signal.SIGKILL
    assert receiver.spans == []
    return app
