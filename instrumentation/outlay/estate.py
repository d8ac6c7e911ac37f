"""What dead processes have left in the spool: found, locked, sent by whoever lives, and removed once it is all taken.

A process is dead when nobody holds the lock of its file of numbers. Its calls are sent again from the first that it
did not note as taken: one that the collector has already is counted once. What its marks say and no record holds was
lost with it, and is reported in its name.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from outlay.framing import Record, read_records
from outlay.guard import shielded
from outlay.settings import Settings
from outlay.spool import SEGMENT, TALLY, files, lock, prefix
from outlay.tally import Left, Loss, progress, read_tally
from outlay.unforked import unforked

_LOG: Final = logging.getLogger("outlay.spool")
_UNTOUCHED_NS: Final = 60 * 1_000_000_000
_LOOK_S: Final = 30.0


@dataclass(slots=True, eq=False)
class Estate:
    """The files of one dead process, held under their lock. Give it back with `leave` or `remove`; once it is given
    back nothing is written any more."""

    left: Left
    segments: tuple[Path, ...]
    _tally_file: int | None
    _tally_path: Path
    _taken: int
    _lost: dict[Loss, int]
    _on_disk: set[int] = field(default_factory=set)

    def records(self) -> Iterator[Record]:
        """What it had not sent, oldest first. What was kept and is in no record any more is counted as damaged."""
        seen = self._taken
        for path in self.segments:
            for record in read_records(_read_segment(path)):
                self._lose(Loss.DAMAGED, record.first - seen)
                seen = max(seen, record.first + record.calls)
                if record.first >= self.left.kept:  # it was killed between writing this and taking the marks away
                    self._on_disk.update(record.slots)
                if record.first >= self._taken:
                    yield record
        self._lose(Loss.DAMAGED, self.left.kept - seen)

    def took(self, record: Record, losses: Mapping[Loss, int]) -> None:
        """All up to this record is done with, so many of its calls lost. The next heir goes on behind it, should this
        process die as well."""
        for why, calls in losses.items():
            self._lose(why, calls)
        self._taken = record.first + record.calls
        self._note()

    @property
    def losses(self) -> dict[Loss, int]:
        """All it has lost. Whole once every record has been seen."""
        died = self.left.died(self._on_disk)
        return {why: calls for why in Loss if (calls := self._lost.get(why, 0) + died.get(why, 0))}

    @property
    def changed_ns(self) -> int:
        """When anything was last noted of it."""
        assert self._tally_file is not None
        return os.fstat(self._tally_file).st_mtime_ns

    def leave(self) -> None:
        """For the next one."""
        with unforked():
            _open.discard(self)
            descriptor, self._tally_file = self._tally_file, None  # its number may soon be another file's
            if descriptor is not None:
                os.close(descriptor)

    def remove(self) -> None:
        """Nothing of it is needed any more."""
        for path in (*self.segments, self._tally_path):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        self.leave()

    def _lose(self, why: Loss, calls: int) -> None:
        if calls > 0:
            self._lost[why] = self._lost.get(why, 0) + calls

    def _note(self) -> None:
        """A disk that is full takes it: nothing gets longer."""
        assert self._tally_file is not None
        for place, number in progress(self._taken, self._lost):
            with contextlib.suppress(OSError):
                os.pwrite(self._tally_file, number, place)


_open: Final[set[Estate]] = set()


class Inheritance:
    """What this process sends for dead ones: some records at a time, and the losses of each in the end. One thread
    sends; another may `leave` meanwhile, and what is said of a request that was under way then changes nothing."""

    def __init__(self, settings: Settings, own: str) -> None:
        self._settings = settings
        self._own = own
        self._using = threading.Lock()
        self._walk: Iterator[tuple[Estate, list[Record]]] | None = None
        self._next_walk_at = 0.0
        self._held: Estate | None = None
        self._at: tuple[Estate, list[Record]] | None = None

    def current(self, most_calls: int) -> tuple[Estate, list[Record]] | None:
        """The records to send now; none of an estate that is all sent. None where nobody has left anything: looked for
        every half minute at most."""
        with self._using:
            if self._at is None and self._walk is None and time.monotonic() >= self._next_walk_at:
                self._walk = self._walked(most_calls)
            if self._at is None and self._walk is not None:
                self._at = next(self._walk, None)
                if self._at is None:
                    self._walk, self._next_walk_at = None, time.monotonic() + _LOOK_S
            return self._at

    def took(self, losses: Mapping[Loss, int]) -> None:
        """The records that are current are done with; so many of their calls will not be in the store."""
        with self._using:
            if self._at is not None:
                estate, records = self._at
                estate.took(records[-1], losses)
                self._at = None

    def told(self) -> None:
        """The losses of the estate that is current are known: nothing of it is needed any more."""
        with self._using:
            if self._at is not None:
                self._at[0].remove()
                self._at = None

    def pass_over(self) -> None:
        """The losses of the estate that is current cannot be told now: it is left, for as long as calls may wait."""
        with self._using:
            if self._at is not None:
                estate, self._at = self._at[0], None
                is_old = estate.changed_ns < time.time_ns() - self._settings.spool_max_age_ns
                estate.remove() if is_old else estate.leave()

    def leave(self) -> None:
        """Let somebody else go on."""
        with self._using:
            self._let_go()

    def leave_to_parent(self) -> None:
        """In a forked child: another thread may have been at it, and is not there."""
        self._let_go()

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.leave()
        self._held = self._at = self._walk = None
        self._next_walk_at = math.inf

    def _walked(self, most_calls: int) -> Iterator[tuple[Estate, list[Record]]]:
        for estate in estates(self._settings, self._own, time.time_ns()):
            self._held = estate
            together: list[Record] = []
            for record in estate.records():
                if together and sum(each.calls for each in (*together, record)) > most_calls:
                    yield estate, together
                    together = []
                together.append(record)
            if together:
                yield estate, together
            yield estate, []


def _read_segment(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def has_estates(settings: Settings) -> bool:
    """Whether a dead process has left something that may be for this one."""
    folder = settings.spool_dir
    assert folder is not None
    for name, _, _ in files(folder):
        if name.endswith(TALLY) and _is_ours(name, settings) and (estate := _take(folder / name)) is not None:
            estate.leave()
            return True
    return False


def estates(settings: Settings, own: str, now_ns: int) -> Iterator[Estate]:
    """Those whose calls this process may send, each locked: the next is asked for when one is done with. On the way
    what is too old, and nobody's, is removed. `own`: the name of this process's files."""
    folder, found = settings.spool_dir, []
    assert folder is not None
    with contextlib.suppress(OSError):
        found = list(files(folder))
    for name, _, changed_ns in sorted(found):
        if not name.endswith(TALLY) or name.startswith(own):
            continue
        estate = _take(folder / name)
        if estate is None:
            continue
        if _is_ours(name, settings) and (name.startswith(prefix(settings)) or estate.left.key_refused):
            yield estate
        elif now_ns - changed_ns > settings.spool_max_age_ns:
            _forget(estate)
        else:
            estate.leave()
    _tidy(folder, {name for name, _, _ in found if name.endswith(TALLY)}, found, now_ns)


def _is_ours(name: str, settings: Settings) -> bool:
    return name.partition("-")[0] == prefix(settings).partition("-")[0]


def _take(path: Path) -> Estate | None:
    """None where its process lives, somebody else is at it, or it is not for us."""
    with unforked():
        estate = _opened(path)
        if estate is not None:
            _open.add(estate)
    return estate


def _opened(path: Path) -> Estate | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        lock(descriptor)
        image = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        left = read_tally(path.name.removesuffix(TALLY).rpartition("-")[2], image)
        if left is not None and os.fstat(descriptor).st_nlink:
            segments = sorted(path.parent.glob(f"{path.name.removesuffix(TALLY)}-*{SEGMENT}"))
            return Estate(left, tuple(segments), descriptor, path, left.taken, dict(left.losses))
    except OSError:
        pass
    os.close(descriptor)
    return None


def _forget(estate: Estate) -> None:
    """Calls for another collector, or under another key, that nobody came for in all the time they may wait."""
    calls = sum(record.calls for record in estate.records())
    if calls:
        _LOG.warning("%d calls of process %s waited for too long and are lost", calls, estate.left.who.holder)
    estate.remove()


def _tidy(folder: Path, tallies: set[str], found: list[tuple[str, int, int]], now_ns: int) -> None:
    """Remove what a process that died at a bad moment has left without its file of numbers."""
    for name, _, changed_ns in found:
        if name.endswith(TALLY) or now_ns - changed_ns < _UNTOUCHED_NS:
            continue
        if name.endswith(SEGMENT) and name.rpartition("-")[0] + TALLY in tallies:
            continue
        with contextlib.suppress(OSError):
            (folder / name).unlink()


@shielded
def _after_fork() -> None:
    """In the child: they are the parent's."""
    for estate in tuple(_open):
        estate.leave()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
