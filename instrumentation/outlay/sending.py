"""What is written down, and what dead processes have left, on its way to the collector.

A batch stays where it is until the collector has taken it, refused it for good, or it is too old; the last two are
losses. Losses are told once the calls are through. Nothing here waits: whoever calls comes again after `Later`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from outlay.estate import Inheritance
from outlay.framing import Record
from outlay.losses import encode_losses
from outlay.otlp import halves
from outlay.post import Later, Post
from outlay.settings import Settings
from outlay.spool import Place, Spool
from outlay.tally import Loss, Tally, Who

_MOST_AT_ONCE: Final = 512


@dataclass(frozen=True, slots=True)
class Batch:
    """Encoded calls: in `body`, or where `place` says."""

    calls: int
    tickets: tuple[int, ...]
    kept_at_ns: int
    body: bytes | None
    place: Place | None


class Backlog:
    """Batches that the collector has not taken. `spool` is None where nothing is on disk. Added to by one thread, sent
    by one at a time."""

    def __init__(self, settings: Settings, post: Post, tally: Tally, spool: Spool | None) -> None:
        self.most_at_once = _MOST_AT_ONCE
        """Calls in one request: fewer once the collector found that too large."""
        self.batches: Final[deque[Batch]] = deque()
        self._settings = settings
        self._post = post
        self._tally = tally
        self._spool = spool
        self._heritage = None if spool is None else Inheritance(settings, spool.name)
        self._told: dict[Loss, int] = {}
        self._is_left = False

    def holds_in_memory(self) -> bool:
        """Whether the disk did not take the last batch."""
        try:
            return self.batches[-1].place is None
        except IndexError:
            return False

    @property
    def calls(self) -> int:
        """How many wait."""
        return sum(batch.calls for batch in tuple(self.batches))

    def send(self, until: float | None) -> int:
        """Send one request, until that time of the monotonic clock at most. Gives how many calls that were: 0 where
        nothing waits. Raises `Later`: then they wait still."""
        if self._is_left:
            raise Later
        batches = list(self._together())
        bodies, calls = [self._body(batch) for batch in batches], sum(batch.calls for batch in batches)
        refused = self._send(b"".join(bodies), calls, until)
        self._tally.lose_many(Loss.REFUSED, refused)
        for batch in batches:
            self._done(batch)
        return calls

    def send_left(self) -> bool:
        """Send one request of what a dead process has left; when it is through, tell what that process has lost and
        remove its files. False where nobody has left anything. Raises `Later`."""
        if self._is_left:
            raise Later
        heritage = self._heritage
        current = heritage and heritage.current(self.most_at_once)
        if not current or heritage is None:
            return False
        estate, records = current
        if records:
            heritage.took(self._send_records(records))
        else:
            is_told = self._tell(estate.left.who, estate.losses, None)
            heritage.told() if is_told else heritage.pass_over()
        return True

    def tell_losses(self, until: float | None) -> None:
        """Tell the collector of losses it does not know. Raises `Later`."""
        losses = self._tally.losses()
        if losses != self._told and self._tell(self._tally.who, losses, until):
            self._told = losses

    def knows_losses(self) -> bool:
        """Whether the collector does."""
        return self._tally.losses() == self._told

    def leave(self) -> None:
        """Let somebody else go on, with what waits here and with what dead processes have left."""
        self._is_left = True
        if self._heritage is not None:
            self._heritage.leave()

    def leave_to_parent(self) -> None:
        """In a forked child."""
        if self._heritage is not None:
            self._heritage.leave_to_parent()

    def _together(self) -> Iterator[Batch]:
        """The oldest batches, as many as go into one request: one after another they are one."""
        calls = 0
        for batch in tuple(self.batches):
            if calls and calls + batch.calls > self.most_at_once:
                return
            calls += batch.calls
            yield batch

    def _body(self, batch: Batch) -> bytes:
        """Empty where it is lost, which is counted."""
        if batch.place is None or self._spool is None:
            return batch.body or b""
        if batch.kept_at_ns < self._oldest_ns():
            self._tally.lose_many(Loss.TOO_OLD, batch.calls)
            return b""
        body = self._spool.read(batch.place)
        if body is None and self._is_left:
            raise Later
        if body is None:
            self._tally.lose_many(Loss.DAMAGED, batch.calls)
        return body or b""

    def _done(self, batch: Batch) -> None:
        if batch.place is not None and self._spool is not None:
            self._spool.took(batch.place, batch.calls)
        else:
            self._tally.settled(batch.tickets)
        self.batches.popleft()

    def _send(self, body: bytes, calls: int, until: float | None) -> int:
        """How many of the calls the collector refused for good. Raises `Later`: then all are sent once more."""
        if not body:
            return 0
        try:
            outcome = self._post.calls(body, self._left_s(until))
        except Later as later:
            if later.key_refused:
                self._say_key_refused(True)
            raise
        self._say_key_refused(False)
        if outcome == "too large" and calls > 1:
            self.most_at_once = max(1, calls // 2)
            first, second = halves(body)
            return self._send(first, calls // 2, until) + self._send(second, calls - calls // 2, until)
        return 0 if outcome == "taken" else calls

    def _say_key_refused(self, refused: bool) -> None:
        self._tally.say_key_refused(refused)
        if refused and self._spool is not None:
            self._spool.sync()

    def _send_records(self, records: list[Record]) -> dict[Loss, int]:
        """How many of their calls are lost. Raises `Later`."""
        oldest_ns = self._oldest_ns()
        fresh = [record for record in records if record.kept_at_ns >= oldest_ns]
        calls = sum(record.calls for record in fresh)
        refused = self._send(b"".join(record.body for record in fresh), calls, None)
        return {Loss.REFUSED: refused, Loss.TOO_OLD: sum(record.calls for record in records) - calls}

    def _tell(self, who: Who, losses: Mapping[Loss, int], until: float | None) -> bool:
        """Whether they need not be told again."""
        return not losses or self._post.figures(encode_losses(who, losses), self._left_s(until))

    def _left_s(self, until: float | None) -> float:
        """How long the collector may take. Raises `Later` where no time is left."""
        if until is None:
            return self._settings.export_timeout_s
        if (left_s := until - time.monotonic()) <= 0:
            raise Later
        return min(self._settings.export_timeout_s, left_s)

    def _oldest_ns(self) -> int:
        return time.time_ns() - self._settings.spool_max_age_ns
