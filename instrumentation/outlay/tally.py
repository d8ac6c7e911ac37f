"""How many calls of this process are at risk, and how many it has lost: numbers that outlive the process.

Every call has a byte of its own, a slot, from before it is sent until it is on disk or with the collector. The bytes
and the counts beside them lie in one buffer, which `spool` maps to a file: whoever finds that file after the process
was killed reads from it how many calls nobody wrote down. Marking a slot is one store, takes no lock and may happen in
a destructor; only one thread at a time takes marks away.
"""

from __future__ import annotations

import itertools
import json
import re
import struct
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mmap import mmap

NO_TICKET: Final = -1
_MAGIC: Final = b"OUTLAYT1"
_NUMBER: Final = struct.Struct("@Q")
"""Native, so that a number is one store: a process that is killed leaves the old one or the new one."""
_KEPT, _TAKEN, _KEY_REFUSED, _LOST = 8, 16, 24, 64
_WHO, _FIRST_SLOT = 256, 1024
_UNDER_WAY, _ENDED = 1, 2
_SPARE_SLOTS: Final = 4096
_MOST_UNCOUNTED: Final = 256
_generations: Final = itertools.count(1)


class Loss(StrEnum):
    """Why a call is missing from the store. In this order in the file: new ones go to the end."""

    QUEUE_FULL = "queue_full"
    """No room in memory, and none on disk."""
    REFUSED = "refused"
    """The collector will never take it."""
    TOO_OLD = "too_old"
    """It waited on disk for longer than it may."""
    DAMAGED = "damaged"
    """What was on disk cannot be read any more."""
    UNREADABLE = "unreadable"
    """Outlay failed to read it: a warning in the application's log says how."""
    UNSENT = "unsent"
    """The process ended, the collector was away and nothing is kept on disk."""
    UNFINISHED = "unfinished"
    """It was still under way when the process ended, or Outlay was taken out of it."""
    KILLED = "killed"
    """It was over, and its process was killed before it was written down."""
    KILLED_UNDER_WAY = "killed_under_way"
    """It was under way when its process was killed: the provider may have billed it."""


_LOSSES: Final = tuple(Loss)


@dataclass(frozen=True, slots=True)
class Who:
    """The process a tally is of. `started_at_ns` is when it began to count."""

    holder: str
    service: str | None
    environment: str | None
    started_at_ns: int


class Tally:
    """The numbers of one process. A forked child makes its own: tickets of another tally mean nothing to it."""

    def __init__(self, service: str | None, environment: str | None, queue_calls: int) -> None:
        self.who = Who(uuid.uuid4().hex, service, environment, time.time_ns())
        self.size = _FIRST_SLOT + queue_calls + _SPARE_SLOTS
        self._buffer: bytearray | mmap = bytearray(self.size)
        self._base = next(_generations) << 32
        self._fresh = itertools.count(_FIRST_SLOT)
        self._free: deque[int] = deque()
        self._uncounted: deque[tuple[Loss | None, int]] = deque()
        self._counting = threading.Lock()
        self._buffer[: len(_MAGIC)] = _MAGIC
        who = json.dumps([service and service[:150], environment and environment[:100], self.who.started_at_ns])
        self._buffer[_WHO:_FIRST_SLOT] = who.encode()[: _FIRST_SLOT - _WHO].ljust(_FIRST_SLOT - _WHO, b"\0")

    # In the application's threads.

    def begin(self) -> int:
        """A ticket for a call that is about to be sent; `NO_TICKET` where far more are under way than may wait."""
        try:
            slot = self._free.pop()
        except IndexError:
            slot = next(self._fresh)
            if slot >= self.size:
                return NO_TICKET
        self._mark(slot, _UNDER_WAY)
        return self._base + slot

    def ended(self, ticket: int) -> None:
        """The call is over: from here on the application has what it came for."""
        if (slot := ticket - self._base) in range(_FIRST_SLOT, self.size):
            self._mark(slot, _ENDED)

    def _mark(self, slot: int, mark: int) -> None:
        buffer = self._buffer
        buffer[slot] = mark
        if self._buffer is not buffer:  # it went over to a file at this very moment
            self._buffer[slot] = mark

    def forget(self, ticket: int) -> None:
        """There was no call."""
        self._settle(None, ticket)

    def lose(self, why: Loss, ticket: int = NO_TICKET) -> None:
        """The call will not be in the store."""
        self._settle(why, ticket)

    def _settle(self, why: Loss | None, ticket: int) -> None:
        """Left for whoever counts next: this may be a destructor, which can wait for nobody."""
        self._uncounted.append((why, ticket))
        if len(self._uncounted) > _MOST_UNCOUNTED:
            self._count()

    def _count(self) -> None:
        if not self._counting.acquire(blocking=False):
            return
        try:
            while self._uncounted:
                why, ticket = self._uncounted.popleft()
                if why is not None:
                    self._add(_place(why), 1)
                self._clear((ticket,))
        finally:
            self._counting.release()

    # In the threads of the delivery.

    def kept(self, tickets: Iterable[int], calls: int) -> None:
        """That many calls more are on disk, these among them: they are at risk no more."""
        tickets = tuple(tickets)
        with self._counting:
            for ticket in tickets:
                if (slot := ticket - self._base) in range(_FIRST_SLOT, self.size):
                    self._buffer[slot] = 0
            # Only now may the slots be used again: what is still marked below this count stands on disk.
            self._add(_KEPT, calls)
            self._clear(tickets)

    def settled(self, tickets: Iterable[int]) -> None:
        """The collector has these calls."""
        with self._counting:
            self._clear(tickets)

    def lose_many(self, why: Loss, calls: int) -> None:
        """Calls that are not at risk any more, and will not be in the store."""
        if calls:
            with self._counting:
                self._add(_place(why), calls)

    def lose_the_rest(self, why: Loss) -> None:
        """Whatever is still at risk is lost: the process ends."""
        self._count()
        with self._counting:
            at_risk = [m.start() + _FIRST_SLOT for m in re.finditer(rb"[\1\2]", self._buffer[_FIRST_SLOT:])]
            self._add(_place(why), len(at_risk))
            self._clear(self._base + slot for slot in at_risk)

    def took(self, calls: int) -> None:
        """So many calls more, counted from the first that was kept, are on disk no longer."""
        self._put(_TAKEN, self._get(_TAKEN) + calls)

    @property
    def calls_kept(self) -> int:
        return self._get(_KEPT)

    def say_key_refused(self, refused: bool) -> None:
        """Whether the collector turned the key away: then a process with another one may send what is on disk."""
        self._put(_KEY_REFUSED, int(refused))

    def losses(self) -> dict[Loss, int]:
        """How many calls were lost so far, by why; only what happened."""
        self._count()
        return _losses(self._buffer)

    @property
    def lost(self) -> int:
        return sum(self.losses().values())

    def move_to(self, buffer: mmap) -> None:
        """Go on in another buffer of the same size: a file's."""
        with self._counting:
            old, buffer[:] = self._buffer, bytes(self._buffer)
            self._buffer = buffer
            for found in re.finditer(rb"[\1\2]", old[_FIRST_SLOT:]):  # marked while it was copied
                slot = found.start() + _FIRST_SLOT
                buffer[slot] = max(buffer[slot], found[0][0])

    def back_to_memory(self) -> bytes:
        """Go on without a file; what stood in it last."""
        with self._counting:
            self._buffer = bytearray(self._buffer[:])
            return bytes(self._buffer)

    def leave_to_parent(self) -> None:
        """In a forked child: as long as the file is mapped its lock is held, and frames of threads that are not there
        hold on to all this."""
        buffer, self._buffer = self._buffer, bytearray(self.size)
        if not isinstance(buffer, bytearray):
            buffer.close()

    def image(self) -> bytes:
        """All of it, for a file that cannot be mapped."""
        return bytes(self._buffer[:])

    def _clear(self, tickets: Iterable[int]) -> None:
        for ticket in tickets:
            if (slot := ticket - self._base) in range(_FIRST_SLOT, self.size):
                self._buffer[slot] = 0
                self._free.append(slot)

    def _add(self, place: int, calls: int) -> None:
        self._put(place, self._get(place) + calls)

    def _get(self, place: int) -> int:
        number: int = _NUMBER.unpack_from(self._buffer, place)[0]
        return number

    def _put(self, place: int, number: int) -> None:
        _NUMBER.pack_into(self._buffer, place, number)


@dataclass(frozen=True, slots=True)
class Left:
    """What the tally of a dead process says. `slots` holds the marks of its calls at risk, by slot."""

    who: Who
    kept: int
    taken: int
    key_refused: bool
    losses: Mapping[Loss, int]
    slots: Mapping[int, int]

    def died(self, on_disk: Collection[int]) -> dict[Loss, int]:
        """What its death cost: all calls at risk but those, by slot, that were found on disk."""
        at_risk = Counter(mark for slot, mark in self.slots.items() if slot not in on_disk)
        return {Loss.KILLED: at_risk[_ENDED], Loss.KILLED_UNDER_WAY: at_risk[_UNDER_WAY]}


def read_tally(holder: str, image: bytes) -> Left | None:
    """None where it is no tally: empty, or of a version nobody here knows."""
    if len(image) < _FIRST_SLOT or image[: len(_MAGIC)] != _MAGIC:
        return None
    try:
        service, environment, started_at_ns = json.loads(image[_WHO:_FIRST_SLOT].rstrip(b"\0"))
    except ValueError:
        service, environment, started_at_ns = None, None, 0
    number = {place: _NUMBER.unpack_from(image, place)[0] for place in (_KEPT, _TAKEN, _KEY_REFUSED)}
    return Left(
        who=Who(holder, service, environment, started_at_ns),
        kept=number[_KEPT],
        taken=number[_TAKEN],
        key_refused=bool(number[_KEY_REFUSED]),
        losses=_losses(image),
        slots={m.start() + _FIRST_SLOT: m[0][0] for m in re.finditer(rb"[\1\2]", image[_FIRST_SLOT:])},
    )


def slot_of(ticket: int) -> int:
    """Where the ticket's mark lies, 0 for `NO_TICKET`: what is written beside a call on disk."""
    return 0 if ticket == NO_TICKET else ticket & 0xFFFFFFFF


def progress(taken: int, losses: Mapping[Loss, int]) -> Iterable[tuple[int, bytes]]:
    """What to write where in the file of a dead process, so that another one can go on from there."""
    yield _TAKEN, _NUMBER.pack(taken)
    for why in _LOSSES:
        yield _place(why), _NUMBER.pack(losses.get(why, 0))


def _place(why: Loss) -> int:
    return _LOST + _NUMBER.size * _LOSSES.index(why)


def _losses(buffer: bytes | bytearray | mmap) -> dict[Loss, int]:
    counts = {why: _NUMBER.unpack_from(buffer, _place(why))[0] for why in _LOSSES}
    return {why: calls for why, calls in counts.items() if calls}
