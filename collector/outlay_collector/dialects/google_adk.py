"""Google's ADK: the conventions' names, with counts of its own making.

It speaks of all models in Gemini's words, those of LiteLLM (`openai/gpt-4o`) too, which count their reasoning into the
output. Version 2 adds the reasoning to the output whosever it is; version 1 leaves Gemini's beside the output, under an
`experimental` name, has the whole response on `call_llm` around `generate_content`, and calls every system its own.
Source: google-adk 2.13.0 `telemetry/_token_usage.py`, `models/lite_llm.py`; 1.34.0 `telemetry/tracing.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from outlay.model import Usage
from outlay.providers.base import Reading
from outlay.providers.foreign import mapping
from outlay.providers.registry import reader_for

from outlay_collector.billing import Report
from outlay_collector.dialects.base import count, text
from outlay_collector.dialects.carried import agreeing, json_object
from outlay_collector.dialects.counts import Counts, reading_of
from outlay_collector.dialects.genai import Customs, GenAI, counted, operation_of, provider_of, read_call
from outlay_collector.dialects.makers import routed_provider
from outlay_collector.dialects.vocabulary import MODEL
from outlay_collector.otlp.span import Span

_RESPONSE: Final = "gcp.vertex.agent.llm_response"
_MADE: Final = "gen_ai.usage.output_tokens"
_INSIDE: Final = "gen_ai.usage.reasoning.output_tokens"
_BESIDE: Final = "gen_ai.usage.experimental.reasoning_tokens"
_TWICE: Final = "the reasoning is taken to be counted twice, as ADK does of LiteLLM's models; it is billed once"


class GoogleADK(GenAI):
    """`gen_ai.*` in ADK's scope."""

    keys = GenAI.keys | {_RESPONSE}

    def __init__(self) -> None:
        super().__init__(
            Customs(
                name="google-adk",
                scopes=("gcp.vertex.agent",),
                note="Google's ADK 2.13.0, 1.34.0; the model tells the provider; LiteLLM's reasoning is counted twice",
            )
        )

    def read(self, span: Span) -> Report | None:
        operation = operation_of(span)
        if operation is None:
            return None
        routed = routed_provider(text(span.attributes.named.get(MODEL)))
        provider = routed or provider_of(span)
        reading = _once(span, counted(span, provider, operation), through_litellm=routed is not None)
        response = json_object(span.attributes.named.get(_RESPONSE))
        if usage := mapping(response.get("usage_metadata")):
            whole = _of_litellm(usage) if routed else reader_for("google").read_response(None, response)
            reading = agreeing(whole, reading)
        served: dict[str, Any] = {"model_served": said} if (said := text(response.get("model_version"))) else {}
        return read_call(span, self.customs, operation, provider=provider, reading=reading, **served)


def _of_litellm(usage: Mapping[str, Any]) -> Reading:
    """What LiteLLM counted, in Gemini's words: what was thought is part of the output."""
    counts = Counts(
        input=count(usage.get("prompt_token_count")),
        output=count(usage.get("candidates_token_count")),
        cache_read=count(usage.get("cached_content_token_count")),
        cache_write=count(usage.get("cache_creation_input_tokens")),
        reasoning=count(usage.get("thoughts_token_count")),
    )
    return reading_of(counts, usage)


def _once(span: Span, reading: Reading, *, through_litellm: bool) -> Reading:
    """The reading with its reasoning in the output, and there once."""
    attributes, is_beside = span.attributes.named, _BESIDE in span.attributes.named
    made, reasoning = count(attributes.get(_MADE)), count(attributes.get(_BESIDE if is_beside else _INSIDE))
    if reading.usage is None or is_beside is through_litellm or not made or not reasoning:
        return reading
    if is_beside and reasoning <= made:
        return replace(reading, usage=_making(made + reasoning, reading.usage, reading.usage.inferred))
    if through_litellm and 2 * reasoning <= made:
        return replace(reading, usage=_making(made - reasoning, reading.usage, _TWICE))
    return reading


def _making(output: int, usage: Usage, inferred: str | None) -> Usage:
    return Usage({**usage.quantities, "output": output}, inferred)
