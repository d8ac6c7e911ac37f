"""OpenTelemetry's own instrumentation of botocore, which tells of Bedrock.

It hands on Bedrock's own input count, which leaves the cache out, and of Converse what was read from and written to the
cache beside it. Of InvokeModel it counts no cache at all, though Claude and Nova have one.
Source: opentelemetry-instrumentation-botocore 0.66b2 `extensions/bedrock.py`.
"""

from __future__ import annotations

from typing import Final

from outlay_collector.billing import Report, Source
from outlay_collector.dialects.base import text
from outlay_collector.dialects.genai import Customs, GenAI
from outlay_collector.dialects.omissions import without_cache
from outlay_collector.otlp.span import Span

_METHOD: Final = "rpc.method"
_INVOKING: Final = "InvokeModel"
_CACHING: Final = ("claude", "nova")
_WHOSE: Final = "OpenTelemetry's spans of InvokeModel"


class Botocore(GenAI):
    """`gen_ai.*` in the scope of OpenTelemetry's botocore."""

    keys = GenAI.keys | {_METHOD}

    def __init__(self) -> None:
        super().__init__(
            Customs(
                name="opentelemetry-bedrock",
                scopes=("opentelemetry.instrumentation.botocore",),
                source=Source.OFFICIAL,
                exclusive=True,
                note="OpenTelemetry's of botocore, 0.66b2: the cache beside the input; of InvokeModel not counted",
            )
        )

    def read(self, span: Span) -> Report | None:
        report = super().read(span)
        if report is None or not (text(span.attributes.named.get(_METHOD)) or "").startswith(_INVOKING):
            return report
        may_cache = any(name in (report.call.model_requested or "") for name in _CACHING)
        return without_cache(report, _WHOSE) if may_cache else report
