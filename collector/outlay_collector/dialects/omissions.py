"""Instrumentations that leave something out of what they tell, which a price depends on.

Most say 0 where nothing came from the cache, or leave the name away and mean 0. Of those here it is known that they do
not hand a count on, or do not in every case: where it is missing the call may have cost less or more than what is
counted says, and its cost is an estimate.

Looked at: MLflow 3.17.2, OpenInference's smolagents 0.1.43, LlamaIndex 4.6.1, Haystack 0.1.46 (where what was answered
is hidden), Agno 1.0.15 (Gemini's thoughts), Genkit 1.42.0 (without the response) and OpenAI's agents 2.6.0 (of chat
completions), Semantic Kernel 1.45.0, azure-ai-inference 1.0.0b9, Mistral's SDK 1.12.4, OpenLLMetry 0.62.4,
OpenTelemetry's google-genai 1.3b0, OpenLIT 1.45.0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from outlay.model import Usage

from outlay_collector.billing import CHATS, Report


@dataclass(frozen=True, slots=True)
class _Omitted:
    """What is left out, in words, and whether a usage has it nevertheless."""

    words: str
    is_told: Callable[[Usage], bool]
    of: frozenset[str] | None = None
    """Whose models it concerns; None: anybody's."""


def _counts_the_cache(usage: Usage) -> bool:
    """A cache of 0 tokens is counted too."""
    return usage.cache_read_tokens is not None or usage.cache_write_tokens is not None


_CACHE: Final = _Omitted("leave out what came from the cache: all input is priced as new", _counts_the_cache)
_TOOLS: Final = _Omitted(
    "leave out what the provider's own tools cost and put into the prompt",
    lambda usage: "tool_input" in usage.quantities,
)
_AUDIO: Final = _Omitted(
    "leave out what the provider's own tools cost, and how much of the input was audio: all is priced as text",
    lambda usage: "input_audio" in usage.quantities,
)
_THOUGHTS: Final = _Omitted(
    "leave out what Gemini thought", lambda usage: bool(usage.reasoning_tokens), frozenset({"google", "google-vertex"})
)
_REGION: Final = _Omitted(
    "leave out the region of a model's inference profile, which may have its own price", lambda _: False
)
_INFERENCE: Final = "openinference.instrumentation."
_TELEMETRY: Final = "opentelemetry.instrumentation."
_OMISSIONS: Final = (
    ("mlflow.", "mlflow-genai", "MLflow's spans in the conventions' names", _CACHE),
    (f"{_INFERENCE}smolagents", "openinference", "OpenInference's spans of smolagents", _CACHE),
    (f"{_INFERENCE}llama_index", "openinference", "OpenInference's spans of LlamaIndex", _CACHE),
    (f"{_INFERENCE}openai_agents", "openinference", "OpenInference's spans of OpenAI's agents", _CACHE),
    (f"{_INFERENCE}haystack", "openinference", "OpenInference's spans of Haystack", _CACHE),
    (f"{_INFERENCE}agno", "openinference", "OpenInference's spans of Agno", _THOUGHTS),
    ("semantic_kernel", "semantic-kernel", "Semantic Kernel's spans", _CACHE),
    ("genkit", "genkit", "Genkit's spans", _CACHE),
    ("azure.", "azure-ai", "Azure AI's spans", _CACHE),
    ("mistralai_sdk", "mistral-sdk", "spans of Mistral's SDK", _CACHE),
    (f"{_TELEMETRY}mistralai", "openllmetry", "OpenLLMetry's spans of Mistral", _CACHE),
    (f"{_TELEMETRY}google_genai", "opentelemetry", "OpenTelemetry's spans of Gemini", _TOOLS),
    (f"{_TELEMETRY}google_generativeai", "openllmetry", "OpenLLMetry's spans of Gemini", _AUDIO),
    ("openlit.instrumentation.google_ai_studio", "openlit", "OpenLIT's spans of Gemini", _AUDIO),
    (f"{_TELEMETRY}bedrock", "openllmetry-bedrock", "OpenLLMetry's spans of Bedrock", _REGION),
)
"""The beginning of the scope's name, the dialect its spans are read as, who that is, and what is left out."""


def marked_as_guessed(report: Report) -> Report:
    """The report, its usage marked as inferred where its instrumentation leaves out what its price depends on."""
    found = _omitted_by(report.scope, report.dialect)
    usage = report.call.usage
    if found is None or usage is None or report.call.operation not in CHATS or found[1].is_told(usage):
        return report
    if found[1].of is not None and report.call.provider not in found[1].of:
        return report
    return guessed(report, f"{found[0]} {found[1].words}")


def without_cache(report: Report, whose: str) -> Report:
    """The report, marked likewise where no cache was counted."""
    usage = report.call.usage
    return report if usage is None or _counts_the_cache(usage) else guessed(report, f"{whose} {_CACHE.words}")


def guessed(report: Report, why: str) -> Report:
    """The report of a usage that is a guess, beside what is a guess in it already."""
    usage = report.call.usage
    if usage is None:
        return report
    inferred = f"{usage.inferred}; {why}" if usage.inferred else why
    return replace(report, call=replace(report.call, usage=replace(usage, inferred=inferred)))


@lru_cache(maxsize=1024)
def _omitted_by(scope: str, dialect: str) -> tuple[str, _Omitted] | None:
    for beginning, spoken, whose, omitted in _OMISSIONS:
        if dialect == spoken and scope.startswith(beginning):
            return whose, omitted
    return None
