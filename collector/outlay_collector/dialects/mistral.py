"""The spans of Mistral's own SDK, which begin traces of their own.

Those of 1.x are made wherever the application traces, and name the request instead of the operation:
`chat_completion_v1_chat_completions_post`, `stream_chat`, `embeddings_v1_embeddings_post`. They have no response id and
no cache; of a stream they count nothing and are over when its head has come. Later ones are asked for, and keep to the
conventions. Source: mistralai 1.12.4 and 3.7.0 `extra/observability/otel.py`.
"""

from __future__ import annotations

from outlay_collector.billing import Report, Source
from outlay_collector.dialects.genai import Customs, GenAI, operation_of, read_call
from outlay_collector.dialects.vocabulary import OPERATION
from outlay_collector.otlp.span import Span


class MistralSDK(GenAI):
    """`gen_ai.*` in a scope of Mistral's SDK."""

    def __init__(self) -> None:
        super().__init__(
            Customs(
                name="mistral-sdk",
                scopes=("mistralai_sdk",),
                source=Source.SDK,
                provider="mistral",
                note="the SDK's own span: of 1.x always, without the cache and of streams uncounted; later opt-in",
            )
        )

    def read(self, span: Span) -> Report | None:
        operation = operation_of(span)
        if operation is None:
            return None
        if OPERATION[0] not in span.attributes.named and span.name.startswith("embeddings"):
            operation = "embeddings"
        return read_call(span, self.customs, operation)
