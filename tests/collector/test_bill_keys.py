"""A call's key is one of its reports' keys: one made of what several say could be another call's."""

from __future__ import annotations

from outlay.model import Call
from outlay_collector.billing import Report, Source, bill_key_of


def told(provider: str, response_id: str | None, source: Source, span: str) -> Report:
    call = Call(
        provider=provider,
        operation="chat",
        model_requested="gpt-4o",
        response_id=response_id,
        started_at_ns=1,
        ended_at_ns=2,
    )
    return Report(
        call=call,
        trace_id="1" * 32,
        span_id=span,
        parent_span_id=None,
        dialect="genai",
        scope=span,
        source=source,
    )


def test_a_response_id_goes_with_the_provider_that_gave_it() -> None:
    better, other = told("azure", None, Source.OFFICIAL, "a" * 16), told("openai", "r1", Source.OTHER, "b" * 16)
    assert bill_key_of([other, better]) == "openai:r1"


def test_without_any_response_id_it_is_the_best_reports_span() -> None:
    better, other = told("azure", None, Source.OFFICIAL, "a" * 16), told("openai", None, Source.OTHER, "b" * 16)
    assert bill_key_of([other, better]) == f"{'1' * 32}:{'a' * 16}"


def test_of_one_report_it_is_its_own() -> None:
    assert bill_key_of([told("openai", "r1", Source.OTHER, "b" * 16)]) == "openai:r1"


def test_one_response_is_one_call_by_whichever_of_two_names_its_provider_goes() -> None:
    keys = {told(name, "r1", Source.OTHER, "b" * 16).bill_key for name in ("google", "google-vertex")}
    assert keys == {"google:r1"}
