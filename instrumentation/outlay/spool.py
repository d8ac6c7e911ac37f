"""The disk spool of this process: finished calls are written down before they are sent, and taken away once they are.

One file of numbers (`tally`) and some segments a process, in a folder that processes share. The file of numbers is
locked for as long as the process lives; when it has died, another one sends what it left (`estate`). Nothing is synced:
a file outlives its process, not a power cut. Where the disk cannot be used the calls stay in memory, as without a
spool. What was written is never given up for something newer; it is only taken, refused or too old.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import mmap
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from outlay.framing import frame, read_record
from outlay.settings import Settings
from outlay.tally import Tally, slot_of
from outlay.unforked import unforked

try:
    import fcntl

    _locks: ModuleType | None = fcntl
except ImportError:  # Windows
    _locks = None

_LOG: Final = logging.getLogger("outlay.spool")
TALLY, SEGMENT = ".tally", ".calls"
_SEGMENT_BYTES: Final = 4 * 1024 * 1024
_AGAIN_S: Final = 5.0
_CLOSED: Final = -1
_LOOK_S: Final = 1.0
_MAPPABLE: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "tmpfs", "overlay"})
"""File systems on which a byte that has its block can always be stored. Elsewhere a full disk would be a SIGBUS."""


@dataclass(slots=True)
class Segment:
    """One file of records, written from the front."""

    path: Path
    descriptor: int
    size: int = 0
    waiting: int = 0
    """Records that are not taken yet."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a batch lies on disk."""

    segment: Segment
    offset: int
    length: int


def open_spool(settings: Settings, tally: Tally) -> Spool | None:
    """None where calls are not to be written to disk, or cannot be on this system."""
    if settings.spool_dir is None:
        return None
    if _locks is None:
        _LOG.info("calls wait in memory only: this system has no file locks, which a spool needs")
        return None
    return Spool(settings, settings.spool_dir, tally)


class Spool:
    """The files of this process. Made in their folder when something is first written, or `open` is called."""

    def __init__(self, settings: Settings, folder: Path, tally: Tally) -> None:
        self.name: Final = f"{prefix(settings)}-{tally.who.holder}"
        self._folder = folder
        self._most_bytes = settings.spool_max_bytes
        self._tally = tally
        self._files = threading.Lock()
        self._segments: deque[Segment] = deque()
        self._made = 0
        self._tally_file: int | None = None
        self._is_mapped = False
        self._try_at = 0.0
        self._looked_at = -_LOOK_S
        self._others_bytes = 0
        self._said = False

    def open(self) -> bool:
        """Whether the disk can be used. One that could not is tried again after a while."""
        with self._files:
            return self._is_open()

    def append(self, body: bytes, tickets: Sequence[int], now_ns: int) -> Place | None:
        """Write one batch. None where the disk does not take it: a warning has said why."""
        with self._files:
            if not self._is_open():
                return None
            record = frame(body, [slot_of(ticket) for ticket in tickets], self._tally.calls_kept, now_ns)
            try:
                self._see_to_room(len(record))
                place = self._write(record)
            except OSError as error:
                self._cannot(error)
                return None
            self._tally.kept(tickets, len(tickets))
            self._sync()
            self._said = False
            return place

    def read(self, place: Place) -> bytes | None:
        """The body of a batch, None where it cannot be read any more."""
        with self._files:
            try:
                record = os.pread(place.segment.descriptor, place.length, place.offset)
            except OSError:
                return None
        found = read_record(record, 0)
        return None if found is None else found.body

    def took(self, place: Place, calls: int) -> None:
        """The batch is needed no more."""
        with self._files:
            segment = place.segment
            segment.waiting -= 1
            self._tally.took(calls)
            if not segment.waiting:
                with contextlib.suppress(OSError):
                    self._empty(segment)
            self._sync()

    def sync(self) -> None:
        """Bring the file of numbers up to date, where it is not the memory itself."""
        with self._files:
            self._sync()

    def close(self, *, keep: bool) -> None:
        """Leave what waits to whoever comes next; without `keep` there is nothing to leave."""
        with self._files:
            image = self._tally.back_to_memory()
            paths = [segment.path for segment in self._segments]
            if self._tally_file is not None:
                with contextlib.suppress(OSError):
                    if keep:
                        os.pwrite(self._tally_file, image, 0)
                    else:
                        for path in (*paths, self._folder / (self.name + TALLY)):
                            path.unlink(missing_ok=True)
            self._let_go()

    def leave_to_parent(self) -> None:
        """In a forked child: the files are the parent's, and so is their lock, for as long as it alone holds them."""
        self._let_go()

    def _let_go(self) -> None:
        for descriptor in (*(segment.descriptor for segment in self._segments), self._tally_file):
            if descriptor is not None:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        for segment in self._segments:
            segment.descriptor = _CLOSED  # its number may soon be another file's
        self._segments.clear()
        self._tally_file = None
        self._try_at = float("inf")

    def _is_open(self) -> bool:
        if self._tally_file is None and time.monotonic() >= self._try_at:
            try:
                with unforked():
                    self._tally_file = self._make_tally()
            except OSError as error:
                self._cannot(error)
        return self._tally_file is not None and time.monotonic() >= self._try_at

    def _make_tally(self) -> int:
        """The file of numbers: locked before it has its name, so that nobody takes it for that of a dead process."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / (self.name + TALLY)
        unnamed = path.with_suffix(".new")
        descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            lock(descriptor)
            if os.pwrite(descriptor, self._tally.image(), 0) < self._tally.size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if _is_mappable(self._folder):
                os.posix_fallocate(descriptor, 0, self._tally.size)
                self._tally.move_to(mmap.mmap(descriptor, self._tally.size))
                self._is_mapped = True
            unnamed.rename(path)
        except OSError:
            os.close(descriptor)
            unnamed.unlink(missing_ok=True)
            raise
        return descriptor

    def _sync(self) -> None:
        if self._tally_file is not None and not self._is_mapped:
            with contextlib.suppress(OSError):
                os.pwrite(self._tally_file, self._tally.image(), 0)

    def _see_to_room(self, more: int) -> None:
        """Raises `OSError` where the folder would hold more than it may. Others write too: by what it held a moment
        ago."""
        most, own = self._most_bytes, sum(segment.size for segment in self._segments)
        if time.monotonic() - self._looked_at > _LOOK_S or own + self._others_bytes + more > most:
            self._others_bytes = sum(size for _, size, _ in files(self._folder)) - own
            self._looked_at = time.monotonic()
        if own + self._others_bytes + more > most:
            raise OSError(f"the spool holds the {most:,} bytes it may (OUTLAY_SPOOL_MAX_BYTES)")

    def _write(self, record: bytes) -> Place:
        segment = self._segments[-1] if self._segments else None
        if segment is None or segment.size >= _SEGMENT_BYTES:
            segment = self._make_segment()
        written = os.pwrite(segment.descriptor, record, segment.size)
        if written < len(record):
            os.ftruncate(segment.descriptor, segment.size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        place = Place(segment, segment.size, len(record))
        segment.size += len(record)
        segment.waiting += 1
        return place

    def _make_segment(self) -> Segment:
        self._made += 1
        path = self._folder / f"{self.name}-{self._made:06}{SEGMENT}"
        with unforked():
            segment = Segment(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            self._segments.append(segment)
        return segment

    def _empty(self, segment: Segment) -> None:
        """The last one is written again from the front; what never reached the disk then never has to."""
        if segment.descriptor == _CLOSED:
            return
        if segment is self._segments[-1]:
            os.ftruncate(segment.descriptor, 0)
            segment.size = 0
        else:
            self._segments.remove(segment)
            segment.path.unlink(missing_ok=True)
            os.close(segment.descriptor)
            segment.descriptor = _CLOSED

    def _cannot(self, error: OSError) -> None:
        self._try_at = time.monotonic() + _AGAIN_S
        if not self._said:
            self._said = True
            _LOG.warning(
                "calls are kept in memory only, as nothing can be written to %s: %s; set OUTLAY_SPOOL_DIR to a folder "
                "with room, or to off",
                self._folder,
                error.strerror or error,
            )


def prefix(settings: Settings) -> str:
    """What names of files begin with: whom their calls are for, and under which key. A key says who spends, so what was
    kept under one is not sent under another."""
    return f"{_digest(settings.endpoint)}-{_digest(repr(sorted(settings.headers.items())))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def files(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size in bytes and time of the last change in ns of the spool's files."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith((TALLY, SEGMENT, ".new")):
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    yield entry.name, status.st_size, status.st_mtime_ns


def lock(descriptor: int) -> None:
    """Lock an open file, at once or not at all. Raises `OSError` where another process holds it."""
    assert _locks is not None
    _locks.flock(descriptor, _locks.LOCK_EX | _locks.LOCK_NB)


def _is_mappable(folder: Path) -> bool:
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return False
    kinds = [line.partition(" - ")[2].split(" ", 1)[0] for line in mounts if line.split(" ", 3)[2] == wanted]
    return bool(kinds) and set(kinds) <= _MAPPABLE
