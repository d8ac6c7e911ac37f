"""What the fake provider answers: text and token counts, decided by a seed and the request alone.

No wire format here: `openai_wire` and `anthropic_wire` dress an `Answer` as their provider would. The text is drawn
from a fixed list of words, and its length agrees with the counts, so that an estimate made from characters can be
compared with the truth. Everything is synthetic.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

CHARACTERS_PER_TOKEN: Final = 4
TOKENS_PER_CHUNK: Final = 8
_PROSE: Final = (
    "the account plan was moved to next week so the team can check each open item and close what is done "
    "before the review of usage cost and limits that finance asked for in June"
)
_WORDS: Final = _PROSE.split()
_TEXT_KEYS: Final = ("system", "instructions", "content", "text", "input", "messages")
_BASE62: Final = string.digits + string.ascii_letters

_SERVED: Final = {
    "gpt-4o": "gpt-4o-2024-11-20",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
}
"""The dated model behind an alias; any other name is served as it was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, before it is dressed.

    `input_tokens` is all of the prompt; `cache_read`, `cache_write_5m` and `cache_write_1h` are parts of it, as
    `reasoning_tokens` is of `output_tokens`. `cut` says that the token cap of the request ended the text.
    """

    model: str
    input_tokens: int
    output_tokens: int
    chunks: tuple[str, ...]
    cut: bool
    reasoning_tokens: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0

    @property
    def text(self) -> str:
        return "".join(self.chunks)


class Draws:
    """Random draws that repeat with the seed: the n-th time the same request comes, the same is drawn.

    They do not depend on the order in which different requests arrive, so concurrent applications repeat too.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._seen: dict[str, int] = {}

    def of(self, path: str, body: bytes) -> Random:
        digest = hashlib.sha256(path.encode() + b"\n" + body).hexdigest()
        self._seen[digest] = nth = self._seen.get(digest, 0) + 1
        return Random(f"{self._seed}/{digest}/{nth}")


class PromptCache:
    """Which prefixes a provider holds: the first sight of one writes it, every later one reads it."""

    def __init__(self) -> None:
        self._held: set[tuple[str, str]] = set()

    def holds(self, model: str, prefix: str) -> bool:
        """Whether it was already held; it is from now on."""
        key = (model, prefix)
        held = key in self._held
        self._held.add(key)
        return held


def served(model: str) -> str:
    """The model's name as the response says it."""
    return _SERVED.get(model, model)


def token_count(value: Any) -> int:
    """How many tokens the text anywhere in a request's value is worth."""
    return -(-len(text_of(value)) // CHARACTERS_PER_TOKEN)


def text_of(value: Any) -> str:
    """All text of a prompt, whichever of the providers' shapes it has."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "".join(text_of(value[key]) for key in _TEXT_KEYS if key in value)
    if isinstance(value, Sequence):
        return "".join(text_of(item) for item in value)
    return ""


def write(draw: Random, cap: int | None, *, thinks: bool) -> tuple[int, int, tuple[str, ...], bool]:
    """Output tokens, reasoning tokens, the text in chunks, and whether `cap` tokens cut it short."""
    wanted = draw.randint(24, 240)
    reasoning = draw.randint(64, 640) if thinks else 0
    total = wanted + reasoning if cap is None else min(cap, wanted + reasoning)
    reasoning = min(reasoning, total)
    visible = total - reasoning
    chunks = tuple(
        _prose(draw, min(TOKENS_PER_CHUNK, visible - start)) for start in range(0, visible, TOKENS_PER_CHUNK)
    )
    return total, reasoning, chunks, total < wanted + reasoning


def _prose(draw: Random, tokens: int) -> str:
    size = tokens * CHARACTERS_PER_TOKEN
    text = ""
    while len(text) < size:
        text += draw.choice(_WORDS) + " "
    return text[:size]


def identifier(draw: Random, length: int, alphabet: str = _BASE62) -> str:
    return "".join(draw.choices(alphabet, k=length))


def hexadecimal(draw: Random, length: int) -> str:
    return identifier(draw, length, "0123456789abcdef")
