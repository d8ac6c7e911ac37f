"""OpenAI's usage object, in all the spellings of those who adopted it.

OpenAI's totals include everything: `prompt_tokens` holds the cached, the cache-written and the audio tokens,
`completion_tokens` the reasoning and the rejected predictions. Buckets are disjoint, so parts are taken out of their
total; parts that do not fit into it, or a total that is not the sum of its sides, make the usage unreadable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from outlay.model import Quantity, Usage
from outlay.providers.counts import Contradiction, count, detail, parts_of, remainder, usage_of, within
from outlay.providers.foreign import NOTHING

_INPUT: Final = ("prompt_tokens", "input_tokens")
_OUTPUT: Final = ("completion_tokens", "output_tokens")
_INPUT_DETAILS: Final = ("prompt_tokens_details", "input_tokens_details", "prompt_token_details", "input_token_details")
_OUTPUT_DETAILS: Final = (
    "completion_tokens_details",
    "output_tokens_details",
    "completion_token_details",
    "output_token_details",
)
_CACHED: Final = ("cached_tokens", "num_cached_tokens", "prompt_cache_hit_tokens")
_INPUT_PARTS: Final = {
    **dict.fromkeys(_CACHED, "cache_read"),
    **dict.fromkeys(("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens"), "cache_write"),
    "audio_tokens": "input_audio",
    "video_tokens": "input_video",
}
"""What an input breakdown calls the units that are parts of the total."""
_PART_NAMES: Final = {
    "cache_read": "cached_tokens",
    "cache_write": "cache_write_tokens",
    "input_audio": "audio_tokens",
    "cache_read_audio": "cached audio_tokens",
    "input_video": "video_tokens",
}

UNTOLD_THOUGHTS: Final = frozenset({"google", "google-vertex"})
"""Providers whose OpenAI-compatible endpoint counts thoughts in `total_tokens` alone."""


def read_usage(raw: Mapping[str, Any], provider: str, fees: Mapping[str, Quantity] = NOTHING) -> Usage | None:
    """Buckets of one usage object, with fees that stand elsewhere in the response; None where it holds no count.

    Source: openai 3.52.0 `types/completion_usage.py`, `types/responses/response_usage.py`. The other spellings:
    Mistral's `num_cached_tokens`, DeepSeek's `prompt_cache_hit_tokens`, Writer's singular `prompt_token_details`
    (writer.chat.36f40c8c43d3), a bare `cached_tokens` of Together and Hugging Face.
    """
    given, made, total = count(raw, *_INPUT), count(raw, *_OUTPUT), count(raw, "total_tokens")
    if given is None:
        if made is not None or total is not None:
            named = "total_tokens" if made is None else "completion_tokens"
            raise Contradiction(f"{named} {total if made is None else made} comes without prompt_tokens beside it")
        return usage_of(fees) if fees else None
    details = detail(raw, *_OUTPUT_DETAILS)
    thoughts = count(details, "reasoning_tokens") if details else count(raw, "reasoning_tokens")
    made, inferred = _whole_output(given, made, total, thoughts, provider)
    quantities: dict[str, Quantity | None] = {**input_buckets(raw, given), "reasoning": thoughts, **fees}
    if made is not None:
        quantities |= output_buckets(details, made, thoughts)
    return usage_of(quantities, inferred)


def input_buckets(raw: Mapping[str, Any], given: int) -> dict[str, int]:
    """The input side as disjoint buckets.

    Images a chat model looks at stay in `input`: they are billed as text there. OpenRouter has reported the same tokens
    as both read and written (openrouter.chat.completions.6da0e1c26082); the two exceed the prompt and are refused.
    """
    details = detail(raw, *_INPUT_DETAILS)
    parts = parts_of(details, _INPUT_PARTS)
    if "cache_read" not in parts and (cached := count(raw, *_CACHED)) is not None:
        parts["cache_read"] = cached
    if "cached_tokens_details" in details:
        _split_cached_audio(parts, count(detail(details, "cached_tokens_details"), "audio_tokens"))
    rest = given - sum(parts.values())
    if rest < 0:
        remainder("prompt_tokens", given, {_PART_NAMES[unit]: part for unit, part in parts.items()})
    return {"input": rest, **parts}


def _split_cached_audio(parts: dict[str, int], cached_audio: int | None) -> None:
    """Sound that was read from the cache is counted both as cached and as sound."""
    if cached_audio is None:
        return
    within_both = {"cached audio_tokens": cached_audio}
    parts["cache_read"] = remainder("cached_tokens", parts.get("cache_read", 0), within_both)
    parts["input_audio"] = remainder("audio_tokens", parts.get("input_audio", 0), within_both)
    parts["cache_read_audio"] = cached_audio


def output_buckets(details: Mapping[str, Any], made: int, thoughts: int | None) -> dict[str, int | None]:
    """The output side as disjoint buckets. Thoughts are text, and rejected predictions output like any other."""
    if not details and not thoughts:
        return {"output": made}
    audio, image = count(details, "audio_tokens"), count(details, "image_tokens")
    if not audio and not image:
        within("reasoning_tokens", thoughts, "completion_tokens", made)
        return {"output": made, "output_audio": audio, "output_image": image}
    apart = {"audio_tokens": audio, "image_tokens": image}
    remainder("completion_tokens", made, {"reasoning_tokens": thoughts, **apart})
    return {"output": remainder("completion_tokens", made, apart), "output_audio": audio, "output_image": image}


def _whole_output(
    given: int, made: int | None, total: int | None, thoughts: int | None, provider: str
) -> tuple[int | None, str | None]:
    """All that was produced, thoughts included, and what of it had to be inferred.

    xAI's chat format leaves thoughts out of `completion_tokens` and bills them as output: 204 in, 1 out and 82 thoughts
    are a total of 287 (xai.batches.66b5cb06027d). The total shows it, so no table of providers is needed.
    """
    if total is None or total == given + (made or 0):
        return made, None
    if made is not None and thoughts and total == given + made + thoughts:
        return made + thoughts, None
    if made is not None and provider in UNTOLD_THOUGHTS and total > given + made:
        return total - given, "output tokens are what total_tokens leaves beside prompt_tokens"
    raise Contradiction(f"total_tokens {total} is not prompt_tokens {given} + completion_tokens {made}")
