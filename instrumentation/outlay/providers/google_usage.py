"""Gemini's counts as disjoint buckets, whichever of its APIs reports them.

Four totals add up: prompt, tool-use prompt, candidates and thoughts (google-genai 2.x `types.py`,
`GenerateContentResponseUsageMetadata.total_token_count`). Each may come split by modality; a split may cover less than
its total (google.generateContent.14dbba650195: 351 of 417), and what it leaves is taken to be text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from outlay.model import Usage
from outlay.providers.counts import Contradiction, count, remainder, usage_of
from outlay.providers.foreign import has, mappings

_APART: Final[dict[object, str]] = {
    "AUDIO": "audio",
    "IMAGE": "image",
    "VIDEO": "video",
    2: "image",
    3: "video",
    4: "audio",
}
"""The modalities counted apart from text. Documents are text. Numbers are Vertex's over gRPC."""
_UNSPLIT: Final = "tokens without a modality are taken to be text"
_UNSPLIT_CACHE: Final = "cached tokens without a modality are taken to be text first"


@dataclass(frozen=True, slots=True)
class Fields:
    """Where an API keeps each total and its split."""

    prompt: str
    candidates: str
    thoughts: str
    tool_prompt: str
    cached: str
    total: str
    prompt_split: tuple[str, ...]
    cached_split: str
    candidates_split: str
    tokens: str


GENERATE: Final = Fields(
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
    "totalTokenCount",
    ("promptTokensDetails", "promptTokenDetails"),
    "cacheTokensDetails",
    "candidatesTokensDetails",
    "tokenCount",
)
INTERACTION: Final = Fields(
    "total_input_tokens",
    "total_output_tokens",
    "total_thought_tokens",
    "total_tool_use_tokens",
    "total_cached_tokens",
    "total_tokens",
    ("input_tokens_by_modality",),
    "cached_tokens_by_modality",
    "output_tokens_by_modality",
    "tokens",
)


def read_usage(raw: Mapping[str, Any], fields: Fields, fees: Mapping[str, int]) -> Usage | None:
    """Buckets of one usage object with its fees; None where it holds no counts."""
    prompt, candidates = count(raw, fields.prompt), count(raw, fields.candidates)
    thoughts, tool_prompt = count(raw, fields.thoughts), count(raw, fields.tool_prompt)
    total = count(raw, fields.total)
    if prompt is None:
        if total:
            raise Contradiction(f"{fields.total} {total} comes without {fields.prompt} beside it")
        return None
    totals = {
        fields.prompt: prompt,
        fields.candidates: candidates,
        fields.thoughts: thoughts,
        fields.tool_prompt: tool_prompt,
    }
    if total is not None and total != sum(n or 0 for n in totals.values()):
        parts = " + ".join(f"{field} {n}" for field, n in totals.items() if n is not None)
        raise Contradiction(f"{fields.total} {total} is not {parts}")
    given, inferred = _input(raw, fields, prompt)
    made = {} if candidates is None and thoughts is None else _output(raw, fields, candidates or 0, thoughts)
    return usage_of({**given, "tool_input": tool_prompt, **made, **fees}, inferred)


def _input(raw: Mapping[str, Any], fields: Fields, prompt: int) -> tuple[dict[str, int | None], str | None]:
    field = next((name for name in fields.prompt_split if has(raw, name)), fields.prompt_split[0])
    given = _split(raw, field, fields.tokens)
    rest = remainder(fields.prompt, prompt, given)
    inferred = _UNSPLIT if has(raw, field) and rest else None
    given["text"] = given.get("text", 0) + rest
    cached = count(raw, fields.cached)
    if cached is None:
        return _named("input", given), inferred
    read = _split(raw, fields.cached_split, fields.tokens)
    unsplit = remainder(fields.cached, cached, read)
    if unsplit and len(given) > 1:
        inferred = _UNSPLIT_CACHE
    for modality in sorted(given, key=lambda name: name != "text"):
        taken = min(unsplit, max(given[modality] - read.get(modality, 0), 0))
        read[modality] = read.get(modality, 0) + taken
        unsplit -= taken
    if unsplit:
        raise Contradiction(f"{fields.cached} {cached} exceeds {fields.prompt} {prompt}")
    fresh = {m: remainder(f"{m} tokens", n, {f"cached {m} tokens": read.get(m)}) for m, n in given.items()}
    if extra := [modality for modality, n in read.items() if n and modality not in given]:
        raise Contradiction(f"{fields.cached_split} holds {extra[0]} tokens the prompt has none of")
    return {**_named("input", fresh), **_named("cache_read", read)}, inferred


def _output(raw: Mapping[str, Any], fields: Fields, candidates: int, thoughts: int | None) -> dict[str, int | None]:
    """Thoughts are output, and billed as text whatever the candidates are."""
    made = _split(raw, fields.candidates_split, fields.tokens)
    made["text"] = made.get("text", 0) + remainder(fields.candidates, candidates, made) + (thoughts or 0)
    return {**_named("output", made), "reasoning": thoughts}


def _split(raw: Mapping[str, Any], field: str, tokens: str) -> dict[str, int]:
    """Tokens by modality; a modality that is listed twice is summed."""
    found: dict[str, int] = {}
    for entry in mappings(raw.get(field)):
        modality = entry.get("modality")
        modality = modality if isinstance(modality, str | int) else None
        name = _APART.get(modality.upper() if isinstance(modality, str) else modality, "text")
        found[name] = found.get(name, 0) + (count(entry, tokens) or 0)
    return found


def _named(side: str, by_modality: Mapping[str, int]) -> dict[str, int | None]:
    """`input`, `input_audio`, ...: text has the plain name. A modality nobody used is left out."""
    return {side if m == "text" else f"{side}_{m}": n for m, n in by_modality.items() if n or m == "text"}
