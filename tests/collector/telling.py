"""A span as a report, priced as the collector would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outlay.prices import PriceBook
from outlay_collector.billing import Report
from outlay_collector.ingest import read_batch

from tests.collector.sending import Sent, body_of

BOOK = PriceBook.bundled()
LANGSMITH = {"langsmith.span.kind": "llm", "gen_ai.request.model": "gpt-4o"}
VERCEL = {"ai.operationId": "ai.generateText.doGenerate", "ai.model.provider": "anthropic.messages"}


def told(scope: str, attributes: Mapping[str, Any], **more: Any) -> Report:
    (report,) = read_batch(body_of(Sent(scope=scope, attributes=attributes, **more)), is_json=False, book=BOOK).reports
    return report


def units(report: Report) -> dict[str, int]:
    assert report.call.usage is not None, report.call.reason_unread
    return {unit: n for unit, n in report.call.usage.quantities.items() if n}
