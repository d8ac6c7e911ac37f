"""From the counts a span carries to disjoint units, whatever the sender counted into what.

Conventions say that input includes what was read from and written to the cache; older and other emitters leave it out.
Where a total is given, arithmetic decides; where the cache is larger than the input, it cannot be inside it; else the
dialect's own custom. Likewise the output includes the reasoning, unless it is the smaller or the total has both. A
total that counts more than input and output do has what they leave out: Gemini's thoughts, and the prompt of its tools.
Counts that contradict one another make no usage, and the reason says which. Nothing but zeros is no count: who writes
them down where nothing was told did not see the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from outlay.model import Usage
from outlay.providers.base import Reading
from outlay.records import record


@record(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a span counted, as it counted it. None: not said. The cache's modalities are inside `cache_read`."""

    input: int | None = None
    output: int | None = None
    total: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    input_audio: int | None = None
    input_image: int | None = None
    cache_read_audio: int | None = None
    cache_read_image: int | None = None
    tool_input: int | None = None
    output_audio: int | None = None
    output_image: int | None = None


@record(frozen=True, slots=True)
class Counted:
    """The usage, or why there is none. Both None: nothing was counted."""

    usage: Usage | None
    reason: str | None = None


def read_counts(counts: Counts, *, exclusive: bool, has_output: bool) -> Counted:
    """The usage behind the counts.

    `exclusive` is the dialect's custom where arithmetic cannot tell: input leaves the cache out. `has_output` says that
    a finished call of this kind counts its output: where it is missing the call was cut short, and the cost is an
    estimate.
    """
    cached = counts.cache_read or counts.cache_write
    if counts.input is counts.output is None or not (counts.input or counts.output or counts.total or cached):
        return Counted(None)
    if not counts.input and counts.output and has_output and not cached:
        return _without_input(counts)
    inferred = None
    if has_output and (counts.total is not None or counts.reasoning):
        counts, inferred = _with_all_that_was_made(counts, exclusive)
    quantities: dict[str, int] = {}
    if counts.input is not None and (reason := _split_input(counts, exclusive, quantities)):
        return Counted(None, reason)
    if counts.output is not None and (reason := _split_output(counts, quantities)):
        return Counted(None, reason)
    if counts.output is None and has_output:
        inferred = "the output was not counted; only the input is billed"
    return Counted(Usage(quantities, inferred))


def reading_of(counts: Counts, raw: Mapping[str, Any], *, exclusive: bool = False, has_output: bool = True) -> Reading:
    """The same as what was read of a call; `raw`: the counts as they stood."""
    found = read_counts(counts, exclusive=exclusive, has_output=has_output)
    return Reading(usage=found.usage, usage_raw=dict(raw) or None, reason_unread=found.reason)


def _with_all_that_was_made(counts: Counts, exclusive: bool) -> tuple[Counts, str | None]:
    """The counts with an output that has the reasoning in it, and what only the total counts; and what is a guess."""
    made, reasoning = counts.output or 0, counts.reasoning or 0
    rest = 0
    if counts.total is not None and counts.input is not None:
        cached = (counts.cache_read or 0) + (counts.cache_write or 0)
        given = counts.input + (cached if _leaves_cache_out(counts, cached, exclusive) else 0)
        rest = max(counts.total - given - made, 0)
    beside = reasoning > made and counts.output is not None and (counts.total is None or rest >= reasoning)
    if reasoning and (rest == reasoning or beside):
        counts = replace(counts, output=made + reasoning)
        rest = max(rest - reasoning, 0)
    if not rest:
        return counts, None
    if counts.reasoning is not None and counts.output is not None:
        told = f"the total counts {rest} tokens more than input and output; they are taken for the prompt of tools"
        return replace(counts, tool_input=(counts.tool_input or 0) + rest), told
    told = f"the total counts {rest} tokens more than input and output; they are taken for reasoning"
    return replace(counts, output=made + rest, reasoning=rest), told


def _without_input(counts: Counts) -> Counted:
    """No answer comes of nothing: who counts no input, or 0, has not seen it. A total may have."""
    quantities: dict[str, int] = {}
    if reason := _split_output(counts, quantities):
        return Counted(None, reason)
    made = Usage(quantities).output_tokens or 0
    if counts.total is not None and counts.total > made:
        given = {"input": counts.total - made, **quantities}
        return Counted(Usage(given, "the input was not counted; it is what the total leaves"))
    return Counted(Usage(quantities, "the input was not counted; only the output is billed"))


def _split_input(counts: Counts, exclusive: bool, quantities: dict[str, int]) -> str | None:
    assert counts.input is not None
    cached = (counts.cache_read or 0) + (counts.cache_write or 0)
    if _leaves_cache_out(counts, cached, exclusive):
        cached = 0
    audio, image, cached_audio, cached_image = counts.input_audio or 0, counts.input_image or 0, 0, 0
    if audio or image:
        cached_audio = min(counts.cache_read_audio or 0, counts.cache_read or 0, audio)
        cached_image = min(counts.cache_read_image or 0, (counts.cache_read or 0) - cached_audio, image)
    plain = counts.input - cached - (audio - cached_audio) - (image - cached_image)
    if plain < 0:
        parts = f"{cached} cached, {audio} audio and {image} image"
        return f"the counts contradict one another: {counts.input} input tokens, of which {parts}"
    quantities["input"] = plain
    if counts.cache_read is not None:
        quantities["cache_read"] = counts.cache_read - cached_audio - cached_image
    if audio or image:
        _put(quantities, "cache_read_audio", cached_audio or None)
        _put(quantities, "cache_read_image", cached_image or None)
    if counts.cache_write is not None:
        _split_cache_write(counts, quantities)
    if audio or image:
        _put(quantities, "input_audio", (audio - cached_audio) or None)
        _put(quantities, "input_image", (image - cached_image) or None)
    _put(quantities, "tool_input", counts.tool_input)
    return None


def _leaves_cache_out(counts: Counts, cached: int, exclusive: bool) -> bool:
    assert counts.input is not None
    if not cached:
        return False
    if counts.total is not None:
        made = counts.output or 0
        if counts.total == counts.input + made:
            return counts.input < cached
        if counts.total == counts.input + cached + made:
            return True
    return exclusive or counts.input < cached


def _split_cache_write(counts: Counts, quantities: dict[str, int]) -> None:
    short, long = counts.cache_write_5m or 0, counts.cache_write_1h or 0
    if counts.cache_write is not None and short + long == counts.cache_write and short + long:
        _put(quantities, "cache_write_5m", short or None)
        _put(quantities, "cache_write_1h", long or None)
    else:
        _put(quantities, "cache_write", counts.cache_write)


def _split_output(counts: Counts, quantities: dict[str, int]) -> str | None:
    assert counts.output is not None
    output, reasoning = counts.output, counts.reasoning or 0
    audio, image = counts.output_audio or 0, counts.output_image or 0
    if reasoning > output or audio + image > output:
        parts = f"{reasoning} reasoning, {audio} audio and {image} image"
        return f"the counts contradict one another: {output} output tokens, of which {parts}"
    quantities["output"] = output - audio - image
    if audio or image:
        _put(quantities, "output_audio", audio or None)
        _put(quantities, "output_image", image or None)
    _put(quantities, "reasoning", counts.reasoning)
    return None


def _put(quantities: dict[str, int], unit: str, quantity: int | None) -> None:
    if quantity is not None:
        quantities[unit] = quantity
