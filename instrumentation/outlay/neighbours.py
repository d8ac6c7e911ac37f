"""What other instrumentations see while a call of ours is being sent, so that it is reported once.

Spans that begin meanwhile are below the call's own. OpenTelemetry's GenAI instrumentations make none where their
context key says that somebody accounts for the inference already (opentelemetry-util-genai 1.3b0,
`_inference_invocation.py`); it is set where that package is loaded, never imported for it.
"""

from __future__ import annotations

import sys
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context, set_value
from opentelemetry.trace import Span

from outlay import baggage

_GENAI: Final = "opentelemetry.util.genai._inference_invocation"


def context_while_sending(span: Span, context: Context) -> Context:
    """The context with the span in it, as whatever runs below the SDK may see it."""
    context = trace.set_span_in_context(span, context)
    if baggage.carried:
        context = baggage.without_attribution(context)
    genai = sys.modules.get(_GENAI)
    if genai is None:
        return context
    key, data = getattr(genai, "CLIENT_INFERENCE_CONTEXT_KEY", None), getattr(genai, "InferenceData", None)
    return context if key is None or data is None else set_value(key, data(), context)
