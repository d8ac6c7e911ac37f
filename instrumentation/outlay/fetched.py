"""What an earlier request asked for and a later one fetches: the report of a call that was not finished when it began.

A response made in the background and a video are answered at once, without usage: that report of the call is unpriced
and carries the response's id. Whoever fetches it once it is done reports the call again under the same id, now with
its usage, and the collector takes the two for the one call they are. What is fetched before it is done, again, or
without having been left for later, is nothing new.

Source: openai 3.52.0 `types/responses/response.py` (`background`, `status`, `completed_at`), `types/video.py`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from outlay.concluded import decoded
from outlay.guard import shielded
from outlay.live import LiveCall
from outlay.providers.foreign import text

_DONE: Final = frozenset({"completed", "incomplete", "failed", "cancelled"})
_REMEMBERED: Final = 4096


class Told:
    """Ids that have been reported by this process; the oldest are forgotten. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: OrderedDict[str, None] = OrderedDict()

    def is_first(self, name: str) -> bool:
        """Whether it is seen for the first time; from now on it is not."""
        with self._lock:
            if name in self._ids:
                return False
            self._ids[name] = None
            if len(self._ids) > _REMEMBERED:
                self._ids.popitem(last=False)
            return True


class FetchedCall(LiveCall):
    """A request that fetches an answer. It ends like a call, and is one only if the answer is done and not told of."""

    @shielded
    def conclude(self) -> None:
        if self.is_streaming:
            answer = self.fold.reading().response_id if self.fold is not None and self.fold.finished else None
            is_new = answer is not None and self.runtime.told.is_first(answer)
        else:
            self.answer = decoded(self.answer)
            is_new = self._is_left_for_later(self.answer) and self.runtime.told.is_first(self.answer["id"])
            if is_new:
                self._take_times(self.answer)
        if is_new:
            super().conclude()
        else:
            self.answer = self.fold = None
            self.runtime.delivery.tally.forget(self.ticket)

    @staticmethod
    def _is_left_for_later(answer: Any) -> bool:
        if not isinstance(answer, Mapping) or not text(answer.get("id")) or answer.get("status") not in _DONE:
            return False
        return answer.get("background") is True or answer.get("object") == "video"

    def _take_times(self, answer: Mapping[str, Any]) -> None:
        """The call was made when it was asked for, and its price is the one of then."""
        began_s, ended_s = answer.get("created_at"), answer.get("completed_at")
        if isinstance(began_s, int | float) and began_s > 0:
            fetched_at_ns = self.started_at_ns + self.ended_after_ns
            self.started_at_ns = int(began_s * 1e9)
            done_at_ns = int(ended_s * 1e9) if isinstance(ended_s, int | float) else fetched_at_ns
            self.ended_after_ns = max(0, done_at_ns - self.started_at_ns)
