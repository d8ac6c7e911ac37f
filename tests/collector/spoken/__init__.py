"""What dialects say: spans of two calls in the words of each (`said`), and of steps."""

from __future__ import annotations

from typing import Final

from tests.collector.spoken.conventions import CONVENTIONS
from tests.collector.spoken.frameworks import FRAMEWORKS
from tests.collector.spoken.own_words import OWN_WORDS
from tests.collector.spoken.said import Spoken
from tests.collector.spoken.steps import STEPS

__all__ = ["SPOKEN", "STEPS", "Spoken"]

SPOKEN: Final[dict[str, Spoken]] = {**CONVENTIONS, **OWN_WORDS, **FRAMEWORKS}
