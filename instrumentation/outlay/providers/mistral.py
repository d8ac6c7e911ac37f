"""Mistral's document reader, billed by the page. (Its chat and embeddings are read as OpenAI's.)

Source: mistralai `models/ocrresponse.py`, `ocrusageinfo.py`.
"""

from __future__ import annotations

from outlay.providers.base import Reading
from outlay.providers.counts import attempt, count, usage_of
from outlay.providers.foreign import first_text, mapping
from outlay.providers.tiers import served_terms
from outlay.providers.wire import Asked, Body, WireFormat


def fits(body: Body) -> bool:
    return "pages_processed" in mapping(body.get("usage_info"))


def read(body: Body, asked: Asked) -> Reading:
    raw = mapping(body.get("usage_info"))
    usage, reason = attempt(lambda: usage_of({"page": count(raw, "pages_processed")}))
    return Reading(
        model_served=first_text(body, "model"),
        usage=usage,
        usage_raw=raw,
        reason_unread=reason,
        terms=served_terms(asked.request),
    )


OCR = WireFormat("mistral.ocr", "mistral", fits, read)
