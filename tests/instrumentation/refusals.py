"""How doubles of providers refuse: as often as the scene says that a request asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Refusals:
    """Counts the attempts of each session."""

    _attempts: Counter[str] = field(default_factory=Counter)

    def status(self, scene: Iterable[str], session: str) -> int | None:
        """`429x2` among the words of a scene refuses the first two attempts of a session, `429` all; None: answer."""
        self._attempts[session] += 1
        for word in scene:
            status, _, times = word.partition("x")
            if status.isdigit() and self._attempts[session] <= int(times or 1_000):
                return int(status)
        return None
