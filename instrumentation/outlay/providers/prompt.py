"""How much text a request's prompt holds.

Strings under the keys that carry prompts count, the data of images and sound never does. Walking a long conversation
takes longer than all else that is read of a request, and only a budget, a stream that broke off and speech ask for it:
so it is done when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from outlay.providers.foreign import NOTHING, is_mapping

_TEXTS: Final = frozenset(
    {
        "arguments",
        "content",
        "contents",
        "documents",
        "input",
        "inputText",
        "inputs",
        "instances",
        "instructions",
        "message",
        "messages",
        "parts",
        "prompt",
        "query",
        "requests",
        "system",
        "systemInstruction",
        "system_instruction",
        "text",
        "texts",
        "thinking",
    }
)
_TOOLS: Final = ("tools", "functions", "toolConfig")
_CHARACTERS_PER_TOKEN: Final = 4
"""Of English text, for prompts that are given as token numbers."""


class Prompt:
    """The prompt of one request. Holds the request's body until it has been measured or let go of."""

    __slots__ = ("_body", "_characters")

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body: Mapping[str, Any] | None = body
        self._characters = 0

    @property
    def characters(self) -> int:
        """The length of its text. Has to be asked for before the prompt is let go of, to be known later."""
        body = self._body
        if body is not None:
            self._characters = _text_characters(body) + _schema_characters([body[key] for key in _TOOLS if key in body])
            self._body = None
        return self._characters

    @property
    def body(self) -> Mapping[str, Any] | None:
        """The request's body, None once it was measured or let go of."""
        return self._body

    def let_go(self) -> None:
        """Forget the body: it may hold images, and calls wait in memory to be read."""
        self._body = None


NO_PROMPT: Final = Prompt(NOTHING)


def _text_characters(body: Mapping[str, Any]) -> int:
    total = 0
    pending: list[object] = [body]
    while pending:
        node = pending.pop()
        if is_mapping(node):
            for key, value in node.items():
                if key in _TEXTS:
                    if type(value) is str:
                        total += len(value)
                    else:
                        pending.append(value)
        elif isinstance(node, (list, tuple)):
            if node and type(node[0]) is int:
                total += len(node) * _CHARACTERS_PER_TOKEN
            else:
                pending.extend(node)
        elif type(node) is str:
            total += len(node)
    return total


def _schema_characters(tools: object) -> int:
    """Of tools everything counts, names of parameters included: their schemas are part of the prompt."""
    total = 0
    pending = [tools]
    while pending:
        node = pending.pop()
        if type(node) is str:
            total += len(node)
        elif is_mapping(node):
            total += sum(len(name) for name in node if type(name) is str)
            pending.extend(node.values())
        elif isinstance(node, (list, tuple)):
            pending.extend(node)
    return total
