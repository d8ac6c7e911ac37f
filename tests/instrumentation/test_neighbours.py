"""Beside frameworks that call the SDKs, and beside other instrumentations: one billable span a call, below theirs."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx2
import openai
import outlay
import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.conftest import CollectorProcess, Provider
from tests.instrumentation.doubles import Receiver

QUESTION: Any = [{"role": "user", "content": "Which rivers end in the Black Sea?"}]


def ask(provider: Provider) -> None:
    with openai.OpenAI(api_key="none", base_url=provider.openai) as client:
        client.chat.completions.create(model="gpt-4.1", messages=QUESTION)


def langchain(provider: Provider) -> None:
    from langchain_openai import ChatOpenAI

    ChatOpenAI(model="gpt-4.1", base_url=provider.openai, api_key="none").invoke("Which rivers end there?")  # type: ignore[arg-type]


def langchain_stream(provider: Provider) -> None:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="gpt-4.1", base_url=provider.openai, api_key="none")  # type: ignore[arg-type]
    assert list(model.stream("Which rivers end there?"))


def langchain_claude(provider: Provider) -> None:
    from langchain_anthropic import ChatAnthropic

    model = ChatAnthropic(model_name="claude-sonnet-4-6", base_url=provider.anthropic, api_key="none")  # type: ignore[call-arg, arg-type]
    model.invoke("Which rivers end there?")


def openai_agents(provider: Provider) -> None:
    from agents import Agent, ModelSettings, OpenAIResponsesModel, RunConfig, Runner

    client = openai.AsyncOpenAI(api_key="none", base_url=provider.openai)
    model = OpenAIResponsesModel("gpt-4.1", client)
    agent = Agent(name="geographer", model=model, model_settings=ModelSettings())
    asyncio.run(Runner.run(agent, "Which rivers end there?", run_config=RunConfig(tracing_disabled=True)))


def pydantic_ai(provider: Provider) -> None:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel("gpt-4.1", provider=OpenAIProvider(base_url=provider.openai, api_key="none"))
    asyncio.run(Agent(model).run("Which rivers end there?"))


FRAMEWORKS = (langchain, langchain_stream, langchain_claude, openai_agents, pydantic_ai)


@contextmanager
def sentry() -> Iterator[None]:
    import sentry_sdk
    from sentry_sdk.integrations.openai import OpenAIIntegration

    class Kept(sentry_sdk.Transport):
        def capture_envelope(self, envelope: Any) -> None:
            sent.append(envelope)

    sent: list[Any] = []
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        traces_sample_rate=1.0,
        integrations=[OpenAIIntegration()],
        transport=Kept,
        default_integrations=False,
    )
    with sentry_sdk.start_transaction(name="request"):
        yield
    sentry_sdk.get_client().close()
    assert sent


@contextmanager
def logfire() -> Iterator[None]:
    import logfire

    mine = logfire.configure(local=True, send_to_logfire=False, console=False)
    with mine.instrument_openai():
        yield
    mine.shutdown()


@contextmanager
def genai() -> Iterator[None]:
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor  # type: ignore[attr-defined]

    OpenAIInstrumentor().instrument()
    yield
    OpenAIInstrumentor().uninstrument()


NEIGHBOURS = (sentry, logfire, genai)


@pytest.fixture
def tidied() -> Iterator[None]:
    """Frameworks leave clients to the garbage collector, which must not find them in somebody else's test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What the application's own tracer provider exports."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


@pytest.mark.usefixtures("tidied")
@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda each: each.__name__)
def test_a_framework_over_the_sdks_gives_one_call_below_the_applications_span(
    framework: Callable[[Provider], None],
    fake_provider: Provider,
    spans: InMemorySpanExporter,
    instrumented: Receiver,
) -> None:
    with trace.get_tracer("app").start_as_current_span("request") as request:
        framework(fake_provider)
    call = instrumented.only_call()
    assert call["outlay.cost.status"] == "exact"
    assert call["outlay.cost.nano_usd"] > 0
    (received,) = instrumented.spans
    assert received.trace_id == f"{request.get_span_context().trace_id:032x}"
    assert len(fake_provider.log.entries) == 1


@pytest.mark.usefixtures("tidied")
@pytest.mark.parametrize("neighbour", NEIGHBOURS, ids=lambda each: each.__name__)
def test_beside_another_instrumentation_a_call_is_still_one(
    neighbour: Callable[[], AbstractContextManager[None]],
    fake_provider: Provider,
    instrumented: Receiver,
) -> None:
    with neighbour():
        ask(fake_provider)
    ask(fake_provider)
    assert [call["outlay.cost.status"] for call in instrumented.calls()] == ["exact", "exact"]


@pytest.mark.usefixtures("tidied")
@pytest.mark.parametrize("neighbour", NEIGHBOURS, ids=lambda each: each.__name__)
def test_outlay_may_come_and_go_below_another_instrumentation(
    neighbour: Callable[[], AbstractContextManager[None]], fake_provider: Provider, receiver: Receiver
) -> None:
    original = vars(openai._base_client.SyncAPIClient)["request"]
    with neighbour():
        outlay.instrument(endpoint=receiver.url)
        ask(fake_provider)
        outlay.uninstrument()
        ask(fake_provider)
    assert len(receiver.spans) == 1
    assert vars(openai._base_client.SyncAPIClient)["request"] is original


def test_the_span_of_another_instrumentation_and_ours_are_one_bill(
    fake_provider: Provider, monkeypatch: pytest.MonkeyPatch, outlay_process: CollectorProcess
) -> None:
    exporter = OTLPSpanExporter(f"{outlay_process.url}/v1/traces")
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    outlay.instrument(endpoint=outlay_process.url)
    with genai():
        ask(fake_provider)
    outlay.uninstrument()
    provider.shutdown()
    (call,) = outlay_process.get("/api/v1/calls")["calls"]
    scopes = {
        report["scope"].partition("@")[0] for report in outlay_process.get(f"/api/v1/calls/{call['id']}")["reports"]
    }
    assert scopes == {"outlay", "opentelemetry.instrumentation.genai.openai"}


def test_what_runs_below_a_call_is_told_that_it_is_accounted_for(
    fake_provider: Provider, instrumented: Receiver
) -> None:
    from opentelemetry.util.genai.handler import TelemetryHandler

    handler, made = TelemetryHandler(), []

    def look(request: httpx2.Request) -> None:
        made.append(type(handler.inference("openai", request_model="gpt-4.1")).__name__)

    with httpx2.Client(event_hooks={"request": [look]}, timeout=60) as http:
        client = openai.OpenAI(api_key="none", base_url=fake_provider.openai, http_client=http)
        client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
    made.append(type(handler.inference("openai", request_model="gpt-4.1")).__name__)
    assert made == ["SuppressedInferenceInvocation", "InferenceInvocation"]


PROGRAM = """
import openai, os
openai.OpenAI(api_key="none", base_url=os.environ["PROVIDER"]).chat.completions.create(
    model="gpt-4.1", messages=[{"role": "user", "content": "Which rivers end in the Black Sea?"}])
"""


def test_opentelemetrys_loader_instruments_without_a_line_of_code(fake_provider: Provider, receiver: Receiver) -> None:
    loader = os.path.join(os.path.dirname(sys.executable), "opentelemetry-instrument")
    quiet = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    variables = {"PROVIDER": fake_provider.openai, "OUTLAY_ENDPOINT": receiver.url, "OUTLAY_SERVICE": "shop"}
    done = subprocess.run(
        [loader, sys.executable, "-c", PROGRAM],
        env={**os.environ, **quiet, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (span,) = receiver.spans
    assert span.attributes["outlay.cost.status"] == "exact"
    assert span.resource["service.name"] == "shop"
