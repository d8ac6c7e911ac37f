"""Prompts and answers, where they are asked for: what is kept of a call, how much, and in which form it leaves.

Off by default, and then nothing of them is looked at. Else what was said is gathered while the call runs and brought
into the form that leaves when it is over, on the way out: redacted unless asked for whole, then cut. Sampling decides
for a call's content alone; its cost is always reported.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from outlay.model import Content
from outlay.providers.base import Reading, StreamReading
from outlay.providers.foreign import is_mapping
from outlay.providers.messages import StreamedText, read_input, read_output, read_system
from outlay.redact import Redactor

CUT: Final = "[cut]"
_chance: Final = random.Random()
_MOST_TEXTS: Final = 16
"""How many texts of full length one call may bring along on each side; a long conversation loses its beginning."""
_LONGEST_READ: Final = 1_000_000
"""Characters of one text that are looked through; what follows never leaves, cut or not."""


class ContentMode(StrEnum):
    """What leaves the process of prompts and answers."""

    OFF = "off"
    REDACTED = "redacted"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class ContentPolicy:
    """What is kept: the mode, the most characters of one message part, the share of calls, the user's patterns."""

    mode: ContentMode
    max_characters: int
    share: float
    patterns: Sequence[str] = ()

    def recorder(self) -> Recorder | None:
        """Takes down one call; None where nothing of it is kept."""
        if self.mode is ContentMode.OFF or _chance.random() >= self.share:
            return None
        return Recorder(self)

    def released(self, system: Sequence[object], said: Sequence[object], answered: Sequence[object]) -> Content:
        """What was said in the form in which it may leave."""
        redactor = Redactor(self.patterns) if self.mode is ContentMode.REDACTED else None
        return Content(self.mode.value, *(self._document(each, redactor) for each in (system, said, answered)))

    def _document(self, messages: Sequence[object], redactor: Redactor | None) -> str | None:
        """The messages as JSON, the latest of them where all are too much."""
        left = _MOST_TEXTS * self.max_characters
        kept: list[str] = []
        for message in reversed(messages):
            text = _encode(self._form(message, redactor))
            left -= len(text)
            if left < 0:
                break
            kept.append(text)
        return f"[{','.join(reversed(kept))}]" if kept else None

    def _form(self, node: object, redactor: Redactor | None) -> Any:
        if isinstance(node, str):
            text = node[:_LONGEST_READ]
            text = redactor.redacted(text) if redactor else text
            return text if len(text) <= self.max_characters else text[: self.max_characters] + CUT
        if is_mapping(node):
            return {key: self._form(value, redactor) for key, value in node.items() if value is not None}
        if isinstance(node, (list, tuple)):
            return [self._form(each, redactor) for each in node]
        return node


_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


class Recorder:
    """What was said in one call."""

    def __init__(self, policy: ContentPolicy) -> None:
        self._policy = policy
        self._system: Sequence[object] = ()
        self._said: Sequence[object] = ()
        self._streamed: StreamedText | None = None

    def asked(self, body: Mapping[str, Any]) -> None:
        """Take down the request, before it can be changed."""
        self._system, self._said = read_system(body), read_input(body)

    def overhearing(self, fold: StreamReading) -> StreamReading:
        """The fold, whose events are taken down as well."""
        self._streamed = StreamedText()
        return _Overheard(fold, self._streamed)

    def content(self, answer: object) -> Content:
        """What may leave of the call, `answer` being the decoded body of one that was not streamed."""
        whole = answer if is_mapping(answer) else {}
        answered = self._streamed.messages() if self._streamed else read_output(whole)
        return self._policy.released(self._system, self._said, answered)


class _Overheard:
    """A fold and the text that passes it."""

    def __init__(self, fold: StreamReading, text: StreamedText) -> None:
        self._fold = fold
        self._text = text

    @property
    def finished(self) -> bool:
        return self._fold.finished

    @property
    def counted(self) -> bool:
        return self._fold.counted

    @property
    def output_characters(self) -> int:
        return self._fold.output_characters

    def feed(self, event: Mapping[str, Any]) -> None:
        self._fold.feed(event)
        self._text.feed(event)

    def reading(self) -> Reading:
        return self._fold.reading()
