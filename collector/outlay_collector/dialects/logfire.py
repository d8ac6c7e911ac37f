"""Logfire's spans of OpenAI's and Anthropic's SDKs.

A streamed call is two spans: one of the request, which ends when the headers come and counts nothing, and a pending log
of the stream, made when the stream was left, with its length and its usage. Where the request began a trace of its own,
so does the log. The first is read as the call, the second as a record that `billing` pairs with it.

Since version 5 the counts are the conventions' (inclusive) with the provider's usage object beside them; before, the
object stands in `response_data` alone. Spans of the OpenAI Agents SDK have that SDK's own under `usage`. Source:
logfire 5.2.0 `_internal/integrations`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from outlay.providers.foreign import mapping
from outlay.providers.registry import canonical_provider

from outlay_collector.billing import Report, Source
from outlay_collector.dialects.base import milliseconds, text
from outlay_collector.dialects.carried import agreeing, json_object, read_usage_object
from outlay_collector.dialects.genai import Customs, GenAI, counted, operation_of, provider_of, read_call
from outlay_collector.otlp.span import Span

_SCOPE: Final = "logfire."
_REQUEST: Final = "request_data"
_RESPONSE: Final = "response_data"
_TYPE: Final = "logfire.span_type"
_DURATION: Final = "duration"
_USAGE: Final = "usage"


class Logfire(GenAI):
    """`gen_ai.*`, `request_data` and `response_data` in a scope `logfire.openai` or `logfire.anthropic`."""

    keys = GenAI.keys | {_REQUEST, _RESPONSE, _TYPE, _DURATION, _USAGE}

    def __init__(self) -> None:
        super().__init__(
            Customs(
                name="logfire",
                scopes=(_SCOPE,),
                note="Logfire 5.2.0; a stream is two spans, the usage in the second; inclusive",
            )
        )

    def claims(self, scope_name: str, name: str, names: frozenset[str]) -> bool:
        return scope_name.startswith(_SCOPE) and _REQUEST in names

    def read(self, span: Span) -> Report | None:
        asked = json_object(span.attributes.named.get(_REQUEST))
        operation = operation_of(span) or ("chat" if "model" in asked else None)
        if operation is None:
            return None
        overriding = self._overriding(span, asked, operation)
        if span.attributes.named.get(_TYPE) == "log":
            return self._stream(span, operation, overriding)
        return read_call(span, self.customs, operation, streamed=False, **overriding)

    def _overriding(self, span: Span, asked: Any, operation: str) -> dict[str, Any]:
        """What older versions say in their own way."""
        overriding: dict[str, Any] = {}
        if not span.attributes.named.get("gen_ai.request.model"):
            overriding["model_requested"] = text(asked.get("model"))
        provider = provider_of(span)
        if provider == "unknown":
            provider = canonical_provider(span.origin.scope_name.removeprefix(_SCOPE))
        reading = counted(span, provider, operation)
        model = text(span.attributes.named.get("gen_ai.response.model")) or text(asked.get("model"))
        if usage := json_object(span.attributes.named.get(_USAGE)):
            reading = agreeing(read_usage_object(provider, model, usage), reading)
        if reading.usage is None and (usage := mapping(json_object(span.attributes.named.get(_RESPONSE)).get("usage"))):
            reading = read_usage_object(provider, model, usage)
        return {**overriding, "provider": provider, "reading": reading}

    def _stream(self, span: Span, operation: str, overriding: dict[str, Any]) -> Report:
        """The log of a stream: from when somebody began to read it until it was left. Its served model is only the one
        that was asked for."""
        report = read_call(span, self.customs, operation, streamed=True, source=Source.RECORD, **overriding)
        lasted_ms = milliseconds(span.attributes.named.get(_DURATION)) or 0
        began_at_ns = max(span.ended_at_ns - int(lasted_ms * 1_000_000), 1)
        call = replace(report.call, started_at_ns=began_at_ns, model_served=None)
        return replace(report, call=call)
