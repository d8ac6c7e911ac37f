"""What a stream used where its provider did not get to say, or did not say, how much.

The counts the provider gave stand. What is missing is estimated from the text that went in and came out, and the
usage says so, which makes its cost `estimated`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from outlay.model import Usage
from outlay.providers.base import Reading, Request

CHARACTERS_PER_TOKEN: Final = 4
"""Of English prose with the tokenizers of OpenAI and Anthropic. Estimates, not worst cases: budgets have their own."""


def estimated(reading: Reading, request: Request, output_characters: int, finished: bool) -> Reading:
    """The reading, its usage completed where it has to be. Counts that contradict one another are left unread."""
    seen = _tokens(output_characters)
    if reading.usage is None:
        if reading.usage_raw is not None:
            return reading
        why = "the stream carried no usage" if finished else "the stream ended before its usage came"
        guess = {"input": _tokens(request.prompt.characters), "output": seen}
        return replace(reading, usage=Usage(guess, f"{why}: tokens estimated from its text"), reason_unread=None)
    if finished or reading.usage.inferred is None:
        return reading
    known = reading.usage.quantities
    why = "the stream ended before its usage was final: output estimated from its text"
    completed = {**known, "output": max(int(known.get("output", 0)), seen)}
    return replace(reading, usage=replace(reading.usage, quantities=completed, inferred=why))


def _tokens(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)
