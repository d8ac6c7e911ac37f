"""What the calls of one model have shown, and what that says of the next.

Nothing seen is ever forgotten downwards: the most tokens a text came to bounds every later guess, and a call that cost
more than was set aside for it makes every later guess larger by as much. Races between threads cost a sample, no more.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

SAFETY: Final = 1.35
"""The newer tokenizers make about 30% more of the same text."""
FIRST_FACTOR: Final = {"openai": 1.35, "azure": 1.6, "google": 1.35, "google-vertex": 1.35, "cohere": 1.35}
"""Of the densest a text can be, before anything was learnt; `OTHERS_FACTOR` for who is not listed."""
OTHERS_FACTOR: Final = 1.8
ENOUGH_CALLS: Final = 20
_TIER_CALLS: Final = 5
"""A project's tier is a setting: a few calls show it."""
_REMEMBERED: Final = 200
_TELLING: Final = 100.0
"""Texts of a lower weight say more of what stands around them than of the tokenizer."""


@dataclass(slots=True)
class Recent:
    """The last so many values of a count, and the one that 99 of 100 stay at or under."""

    values: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    p99: int | None = None
    """None until there are enough of them."""

    def add(self, value: int) -> None:
        values = self.values
        values.append(value)
        if len(values) < ENOUGH_CALLS:
            return
        if self.p99 is None or value > self.p99 or not len(values) % 8 or len(values) == _REMEMBERED:
            ranked = sorted(values)
            self.p99 = ranked[-(-len(ranked) * 99 // 100) - 1]


@dataclass(slots=True)
class Experience:
    """Of one provider's model. `first` is the factor before anything was learnt."""

    first: float
    calls: int = 0
    densest: float = 0.0
    """The most tokens for each one its text was weighed at."""
    short: float = 1.0
    """The most a whole input was above its estimate, as a factor."""
    dearer: float = 1.0
    """The most a call cost above its worst case, as a factor."""
    is_served_dearer: bool = False
    """Whether a call was ever billed at a dearer tier than it asked for."""
    outputs: Recent = field(default_factory=Recent)
    """Of calls without a cap."""
    inputs: Recent = field(default_factory=Recent)
    """Of calls whose body does not show all that is read."""

    factor: float = 0.0
    """What a text's weight is multiplied by."""
    may_be_dearer: bool = True
    """Whether a tier nobody asked for has to be reckoned with."""

    def __post_init__(self) -> None:
        self.factor = self.first

    def read(self, weight: float, used: int, estimated: int, short: float, *, is_plain: bool) -> None:
        """An input of that weight was `used` tokens, and `estimated` at so many by a `short` of then: many calls may
        have been estimated before the first of them was over."""
        if is_plain and weight >= _TELLING and used > self.densest * weight:
            self.densest = used / weight
        if used > estimated > 0:
            self.short = max(self.short, short * used / estimated)

    def count(self) -> None:
        """A call is over whose usage is known."""
        self.calls += 1
        knows_enough = self.calls >= ENOUGH_CALLS
        self.factor = max(self.densest * SAFETY, SAFETY if knows_enough else self.first)
        self.may_be_dearer = self.is_served_dearer or self.calls < _TIER_CALLS

    def cost(self, nano_usd: int, worst: int, dearer: float) -> None:
        """A call cost that, and `worst` had been set aside for it by a `dearer` of then."""
        if nano_usd > worst:
            self.dearer = max(self.dearer, dearer * nano_usd / worst)
            self.is_served_dearer = self.may_be_dearer = True
