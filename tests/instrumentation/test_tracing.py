"""Beside the application's own tracing, and Anthropic's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import outlay
import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from tests.conftest import Provider
from tests.instrumentation.doubles import Receiver, transport_of

QUESTION: Any = [{"role": "user", "content": "Which rivers end in the Black Sea?"}]


def ask(provider: Provider) -> Any:
    with openai.OpenAI(api_key="none", base_url=provider.openai) as client:
        return client.chat.completions.create(model="gpt-4.1", messages=QUESTION)


def ask_claude(provider: Provider, **options: Any) -> Any:
    with anthropic.Anthropic(api_key="none", base_url=provider.anthropic) as client:
        return client.messages.create(model="claude-sonnet-4-6", max_tokens=20, messages=QUESTION, **options)


@pytest.fixture
def sampler() -> Sampler:
    return ALWAYS_ON


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch, sampler: Sampler) -> Iterator[InMemorySpanExporter]:
    """What the application's own tracer provider exports."""
    exporter = InMemorySpanExporter()
    resource = Resource({"service.name": "billing", "deployment.environment.name": "staging"})
    provider = TracerProvider(sampler=sampler, resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


def test_without_a_tracer_provider_the_current_span_is_the_calls_own(
    fake_provider: Provider, instrumented: Receiver
) -> None:
    ask(fake_provider)
    ask(fake_provider)
    assert len(instrumented.calls()) == 2
    first, second = instrumented.spans
    assert first.trace_id != second.trace_id
    assert first.parent_span_id == ""
    assert first.name == "chat gpt-4.1"
    assert not trace.get_current_span().get_span_context().is_valid


def test_the_applications_provider_gets_the_span_and_so_does_the_collector(
    spans: InMemorySpanExporter, fake_provider: Provider, instrumented: Receiver
) -> None:
    with trace.get_tracer("app").start_as_current_span("request") as request:
        ask(fake_provider)
    call, outer = spans.get_finished_spans()
    assert call.attributes is not None
    assert outer.name == "request"
    assert call.name == "chat gpt-4.1"
    assert call.parent is not None
    assert call.parent.span_id == request.get_span_context().span_id
    assert instrumented.only_call() == {
        name: list(value) if isinstance(value, tuple) else value for name, value in call.attributes.items()
    }
    (received,) = instrumented.spans
    assert received.span_id == f"{call.context.span_id:016x}"
    assert received.trace_id == f"{outer.context.trace_id:032x}"
    assert received.parent_span_id == f"{outer.context.span_id:016x}"


def test_the_applications_resource_names_the_service_where_nothing_else_does(
    spans: InMemorySpanExporter, fake_provider: Provider, receiver: Receiver
) -> None:
    outlay.instrument(endpoint=receiver.url)
    ask(fake_provider)
    outlay.uninstrument()
    (received,) = receiver.spans
    assert received.resource["service.name"] == "billing"
    assert received.resource["deployment.environment.name"] == "staging"


@pytest.mark.parametrize("sampler", [ALWAYS_OFF])
def test_a_bill_is_not_sampled(spans: InMemorySpanExporter, fake_provider: Provider, instrumented: Receiver) -> None:
    ask(fake_provider)
    assert spans.get_finished_spans() == ()
    assert instrumented.only_call()["outlay.cost.status"] == "exact"


def test_spans_made_during_the_call_are_below_it(
    spans: InMemorySpanExporter, fake_provider: Provider, instrumented: Receiver
) -> None:
    def traced(request: object) -> None:
        trace.get_tracer("http").start_span("POST").end()

    with transport_of(openai).Client(event_hooks={"request": [traced]}) as http:
        client = openai.OpenAI(api_key="none", base_url=fake_provider.openai, http_client=http)
        client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
    inner, call = spans.get_finished_spans()
    assert inner.parent is not None
    assert inner.parent.span_id == call.context.span_id


def test_a_failed_call_fails_its_span(
    spans: InMemorySpanExporter, fake_provider: Provider, instrumented: Receiver
) -> None:
    with (
        openai.OpenAI(api_key="none", base_url=fake_provider.openai, max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.chat.completions.create(model="gpt-4.1", messages=QUESTION, extra_headers={"x-fault": "401"})
    (call,) = spans.get_finished_spans()
    assert call.status.status_code is trace.StatusCode.ERROR
    assert instrumented.calls()
    assert instrumented.spans[0].failed


def test_anthropics_own_span_is_silent_while_ours_is_made(
    spans: InMemorySpanExporter, fake_provider: Provider, instrumented: Receiver
) -> None:
    ask_claude(fake_provider)
    ask_claude(fake_provider, stream=True).close()
    assert [span.instrumentation_scope.name for span in spans.get_finished_spans()] == ["outlay", "outlay"]  # type: ignore[union-attr]


def test_anthropics_own_span_is_back_once_ours_is_gone(
    spans: InMemorySpanExporter, fake_provider: Provider, receiver: Receiver
) -> None:
    if not hasattr(anthropic._base_client, "start_api_call_span"):
        pytest.skip(f"anthropic {anthropic.__version__} makes no spans of its own")
    outlay.instrument(endpoint=receiver.url)
    outlay.uninstrument()
    ask_claude(fake_provider)
    (span,) = spans.get_finished_spans()
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "com.anthropic.sdk.python"


def test_the_delivery_is_not_traced(
    spans: InMemorySpanExporter, fake_provider: Provider, instrumented: Receiver
) -> None:
    ask(fake_provider)
    assert outlay.flush()
    assert [span.name for span in spans.get_finished_spans()] == ["chat gpt-4.1"]
