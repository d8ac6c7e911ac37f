"""What providers count and charge for: the one table of units.

A usage is a mapping from these names to quantities, a price a mapping from these names to rates. The table decides
which side of a call a unit belongs to, how many of it a rate is quoted for, and whose rate applies where a price has
none of its own. Adding a unit here is all it takes for readers, prices, storage and reports to carry it.

Token units are disjoint: no token is in two of them. `reasoning` is the one exception, a detail inside `output`.

Images and video that a model reads cost what text does wherever a provider quotes no rate of their own (Gemini's
"text / image / video", the vision models of OpenAI), so they fall back to it. Audio never does: where it is sold it is
dearer, and a price that lacks its rate is a price that lacks something.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Side = Literal["input", "output", "detail", "fee"]
TOKENS_PER_RATE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing that is counted.

    `per` is the number of units a rate is quoted for: 1,000,000 for tokens, 1,000 for searches, 1 for a second.
    `falls_back_to` names the units, in order, whose rate stands in where a price has no rate for this one; with none
    the cost of a call that used it is `partial`.
    """

    name: str
    side: Side
    per: int
    falls_back_to: tuple[str, ...] = ()


def _tokens(name: str, side: Side, *falls_back_to: str) -> Unit:
    return Unit(name, side, TOKENS_PER_RATE, falls_back_to)


UNITS: Final[dict[str, Unit]] = {
    unit.name: unit
    for unit in (
        _tokens("input", "input"),
        _tokens("cache_read", "input", "input"),
        _tokens("cache_write", "input", "input"),
        _tokens("cache_write_5m", "input", "cache_write", "input"),
        _tokens("cache_write_1h", "input", "cache_write", "input"),
        _tokens("tool_input", "input", "input"),
        _tokens("input_audio", "input"),
        _tokens("input_image", "input", "input"),
        _tokens("input_video", "input", "input"),
        _tokens("cache_read_audio", "input", "input_audio"),
        _tokens("cache_read_image", "input", "input_image", "cache_read", "input"),
        _tokens("cache_read_video", "input", "input_video", "cache_read", "input"),
        _tokens("output", "output"),
        _tokens("output_audio", "output"),
        _tokens("output_image", "output"),
        _tokens("reasoning", "detail"),
        Unit("web_search", "fee", 1_000),
        Unit("web_search_query", "fee", 1_000),
        Unit("file_search", "fee", 1_000),
        Unit("rerank_search", "fee", 1_000),
        Unit("code_session", "fee", 1),
        Unit("request", "fee", 1_000),
        Unit("page", "fee", 1_000),
        Unit("image", "fee", 1),
        Unit("character", "fee", 1_000_000),
        Unit("audio_second", "fee", 1),
        Unit("video_second", "fee", 1),
    )
}
"""Every unit by its name. Rates of `web_search` are per 1,000 searches, of `audio_second` per second, of tokens per
million."""

INPUT_UNITS: Final = frozenset(u.name for u in UNITS.values() if u.side == "input")
OUTPUT_UNITS: Final = frozenset(u.name for u in UNITS.values() if u.side == "output")
CACHE_READ_UNITS: Final = frozenset({"cache_read", "cache_read_audio", "cache_read_image", "cache_read_video"})
CACHE_WRITE_UNITS: Final = frozenset({"cache_write", "cache_write_5m", "cache_write_1h"})
