"""LiteLLM's OpenTelemetry callback: `litellm_request`, and beneath it a copy of what went over the wire.

The request's span is the call. Its counts have no breakdown; the usage object, printed into `metadata.usage_object`,
has, and is OpenAI's whatever the provider is: input with the cache in it. The copy (`raw_gen_ai_request`) repeats it.
Its costs are LiteLLM's own figures. Source: litellm 1.106.2 `integrations/opentelemetry.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from outlay.providers.foreign import mapping

from outlay_collector.billing import Report
from outlay_collector.dialects.base import text
from outlay_collector.dialects.carried import agreeing, printed_object, read_usage_object
from outlay_collector.dialects.genai import Customs, GenAI, counted, operation_of, provider_of, read_call
from outlay_collector.dialects.vocabulary import MODEL, SERVED
from outlay_collector.otlp.span import Span
from outlay_collector.response_ids import is_unguessable

_SCOPE: Final = "litellm"
_CALL_ID: Final = "litellm.call_id"
_USAGE: Final = "metadata.usage_object"
_TRANSLATED: Final = frozenset({"anthropic", "bedrock", "cohere", "google", "google-vertex"})
"""Providers whose answers are not in OpenAI's format."""


class LiteLLM(GenAI):
    """`gen_ai.*` with `litellm.*` and `metadata.*` of its proxy."""

    keys = GenAI.keys | {_CALL_ID, _USAGE}

    def __init__(self) -> None:
        super().__init__(
            Customs(
                name="litellm",
                scopes=(_SCOPE,),
                note="LiteLLM 1.106.2's callback; inclusive, broken down in `metadata.usage_object`",
            )
        )

    def claims(self, scope_name: str, name: str, names: frozenset[str]) -> bool:
        return scope_name == _SCOPE or _CALL_ID in names

    def read(self, span: Span) -> Report | None:
        attributes = span.attributes.named
        operation = operation_of(span) if MODEL in attributes or SERVED in attributes else None
        if operation is None:
            return None
        provider = provider_of(span)
        reading = counted(span, provider, operation)
        model = text(attributes.get(SERVED)) or text(attributes.get(MODEL))
        if usage := _as_openai(printed_object(attributes.get(_USAGE))):
            reading = agreeing(read_usage_object(provider, model, usage), reading)
        response_id = text(attributes.get("gen_ai.response.id"))
        made_up = _is_made_up(response_id, provider)
        known_by = None if made_up or response_id == text(attributes.get(_CALL_ID)) else response_id
        report = read_call(span, self.customs, operation, provider=provider, reading=reading, response_id=known_by)
        return replace(report, gateways_id=response_id) if made_up and is_unguessable(response_id or "") else report


def _is_made_up(response_id: str | None, provider: str) -> bool:
    """Answers that LiteLLM translates get an id of its own, in OpenAI's form; so does a call that failed. It is the one
    that clients of its proxy see."""
    return provider in _TRANSLATED and (response_id or "").startswith("chatcmpl-")


def _as_openai(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object without what is null in it, and with cache writes among the details, where OpenAI has them."""
    said = {key: value for key, value in usage.items() if value is not None}
    details = {key: value for key, value in mapping(said.get("prompt_tokens_details")).items() if value is not None}
    if (written := said.get("cache_creation_input_tokens")) and not details.get("cache_write_tokens"):
        details["cache_write_tokens"] = written
    if details:
        said["prompt_tokens_details"] = details
    made = {key: value for key, value in mapping(said.get("completion_tokens_details")).items() if value is not None}
    return {**said, "completion_tokens_details": made} if made else said
