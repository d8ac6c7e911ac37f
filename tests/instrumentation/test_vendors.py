"""Mistral, Cohere and Bedrock beyond the matrix: attempts, headroom, budgets, other APIs, bodies read in pieces."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import botocore.client
import botocore.endpoint
import botocore.eventstream
import cohere.core.http_client
import mistralai.client.basesdk
import outlay
import pytest
from botocore.config import Config
from botocore.response import StreamingBody
from mistralai.client._hooks import tracing
from mistralai.client.models import File
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.responses import Response, StreamingResponse

from tests.instrumentation.doubles import Answer, Answering, Receiver, settled
from tests.instrumentation.vendors import NOVA, TURNS, VENDORS, Vendor, bedrock, headers
from tests.instrumentation.vendors_double import VendorsDouble

every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)


def _named(name: str) -> Vendor:
    return next(vendor for vendor in VENDORS if vendor.name == name)


@every_vendor
async def test_a_call_with_two_retries_is_one_span_with_three_attempts(
    vendor: Vendor, vendors_url: str, instrumented: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cohere.core.http_client.MAX_RETRY_DELAY_SECONDS", 0.01)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff._MAX_BACKOFF", 0.01, raising=False)
    async with vendor.client(vendors_url, retries=2) as client:
        await settled(vendor.ask(client, "429x2"))
    call = instrumented.only_call()
    attempts = json.loads(call["outlay.attempts"])
    assert [attempt["status"] for attempt in attempts] == [429, 429, 200]
    assert [attempt.get("retry_after_s") for attempt in attempts] == [0.0, 0.0, None]
    assert call["http.request.resend_count"] == 2
    assert call["outlay.cost.status"] == "exact"
    assert "error.type" not in call


async def test_mistrals_headroom_is_by_the_minute(vendors_url: str, instrumented: Receiver) -> None:
    vendor = _named("mistral chat")
    async with vendor.client(vendors_url) as client:
        vendor.ask(client, "")
    call = instrumented.only_call()
    assert (call["outlay.ratelimit.requests.limit"], call["outlay.ratelimit.requests.remaining"]) == (60, 57)
    assert (call["outlay.ratelimit.tokens.limit"], call["outlay.ratelimit.tokens.remaining"]) == (500_000, 498_980)
    assert call["outlay.request.id"] == "req-7"


@every_vendor
async def test_what_a_budget_refuses_is_not_sent(
    vendor: Vendor, vendors_url: str, vendors_double: VendorsDouble, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTLAY_BUDGETS_REQUIRED", "1")
    monkeypatch.setenv("OUTLAY_ENDPOINT", receiver.url)  # which knows no budgets
    outlay.instrument()
    monkeypatch.undo()
    async with vendor.client(vendors_url) as client:
        with pytest.raises(outlay.BudgetExceeded):
            await settled(vendor.ask(client, ""))
    outlay.uninstrument()
    assert vendors_double.asked == []


MISTRAL: dict[str, tuple[Callable[[Any], Any], str, int | None]] = {
    # Embeddings $0.10 a million tokens, pages $4 a thousand; nano-USD.
    "embeddings": (lambda m: m.embeddings.create(model="mistral-embed", inputs=["x"]), "embeddings", 100_000),
    "ocr": (
        lambda m: m.ocr.process(model="mistral-ocr-latest", document={"document_url": "https://example.com/a.pdf"}),
        "ocr",
        12_000_000,
    ),
    "agents": (lambda m: m.agents.complete(agent_id="ag_1", messages=TURNS), "chat", 530_000),
    "conversation": (
        lambda m: m.beta.conversations.start(model="mistral-large-latest", inputs="Hello"),
        "chat",
        530_000,
    ),
    "transcription": (
        lambda m: m.audio.transcriptions.complete(
            model="voxtral-mini-latest", file=File(file_name="a.wav", content=b"RIFF0000")
        ),
        "transcription",
        None,
    ),
    "moderation": (
        lambda m: m.classifiers.moderate(model="mistral-moderation-latest", inputs=["x"]),
        "moderation",
        None,
    ),
}


@pytest.mark.parametrize("api", MISTRAL)
async def test_every_api_of_mistral_is_one_span(api: str, vendors_url: str, instrumented: Receiver) -> None:
    ask, operation, nano_usd = MISTRAL[api]
    async with _named("mistral chat").client(vendors_url) as client:
        ask(client)
    call = instrumented.only_call()
    assert call["gen_ai.operation.name"] == operation
    if api != "agents":
        assert call["gen_ai.request.model"]
    if nano_usd is not None:
        assert call["outlay.cost.nano_usd"] == nano_usd


@pytest.mark.parametrize(
    ("ask", "operation", "nano_usd"),
    [
        # Embed 4: $0.12 a million tokens. Rerank 3.5: $2 a thousand searches.
        (
            lambda c: c.embed(model="embed-v4.0", texts=["x"], input_type="search_query", embedding_types=["float"]),
            "embeddings",
            120_000,
        ),
        (lambda c: c.rerank(model="rerank-v3.5", query="x", documents=["y"]), "rerank", 2_000_000),
    ],
    ids=["embed", "rerank"],
)
async def test_embeddings_and_searches_of_cohere_are_priced(
    ask: Callable[[Any], Any], operation: str, nano_usd: int, vendors_url: str, instrumented: Receiver
) -> None:
    async with _named("cohere v2").client(vendors_url) as client:
        ask(client)
    call = instrumented.only_call()
    assert call["gen_ai.operation.name"] == operation
    assert call["outlay.cost.nano_usd"] == nano_usd


async def test_mistrals_own_tracing_makes_no_second_span(vendors_url: str, instrumented: Receiver) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    vendor = _named("mistral chat")
    async with vendor.client(vendors_url) as client:
        hooks = client.sdk_configuration.__dict__["_hooks"]
        (hook,) = [each for each in hooks.before_request_hooks if isinstance(each, tracing.TracingHook)]
        hook.tracer_provider = provider
        vendor.ask(client, "")
        assert exporter.get_finished_spans() == ()
        outlay.uninstrument()
        vendor.ask(client, "")
    assert [span.name for span in exporter.get_finished_spans()] == ["chat mistral-large-latest"]


def _read_all(body: Any) -> bytes:
    return bytes(body.read())


def _read_in_pieces(body: Any) -> bytes:
    return b"".join(iter(lambda: body.read(7), b""))


def _read_by_chunks(body: Any) -> bytes:
    return b"".join(body.iter_chunks(11))


def _read_inside(body: Any) -> bytes:
    with body as raw:
        return bytes(raw.read())


def _read_exactly(body: Any) -> bytes:
    return bytes(body.read(int(body._content_length)))


def _close(body: Any) -> bytes:
    body.close()
    return b""


@pytest.mark.parametrize("read", [_read_all, _read_in_pieces, _read_by_chunks, _read_inside, _read_exactly])
def test_the_body_of_invoke_model_is_read_as_the_application_reads_it(
    read: Callable[[Any], bytes], vendors_url: str, instrumented: Receiver
) -> None:
    client = bedrock(vendors_url, 0)
    client.chosen.update(headers("cache"))
    answer = client.invoke_model(modelId=NOVA, body=json.dumps({"messages": []}))
    body = answer["body"]
    assert type(body) is StreamingBody
    assert type(body._raw_stream).__module__.startswith("urllib3")
    assert instrumented.calls() == []
    assert json.loads(read(body))["usage"]["outputTokens"] == 20
    call = instrumented.only_call()
    client.close()
    assert call["gen_ai.usage.cache_read.input_tokens"] == 600
    assert call["outlay.cost.nano_usd"] == 24_000 + 9_000 + 4_800


def _stream_below(body: Any) -> bytes:
    with body as raw:
        return b"".join(raw.stream(64))


def _iterate_below(body: Any) -> bytes:
    with body as raw:
        return b"".join(raw)


def _read_lines(body: Any) -> bytes:
    return b"".join(body.readlines())


@pytest.mark.parametrize("read", [_stream_below, _iterate_below, _read_lines])
@pytest.mark.parametrize("chunked", [False, True], ids=["of a known length", "in chunks"])
def test_the_body_of_invoke_model_is_read_where_the_application_goes_below_it(
    read: Callable[[Any], bytes], chunked: bool, answering: Callable[[Answer], Answering], instrumented: Receiver
) -> None:
    text = [{"type": "text", "text": "The Danube, the Dniester, the Dnieper. " * 40}]
    usage = {"input_tokens": 1_000, "output_tokens": 20}
    whole = json.dumps({"type": "message", "content": text, "stop_reason": "end_turn", "usage": usage}).encode()
    pieces = [whole[start : start + 100] for start in range(0, len(whole), 100)]
    kind = "application/json"
    provider = answering(
        lambda _: StreamingResponse(iter(pieces), media_type=kind) if chunked else Response(whole, media_type=kind)
    )
    client = bedrock(provider.url, 0)
    answer = client.invoke_model(modelId="anthropic.claude-haiku-4-5-20251001-v1:0", body=json.dumps({"messages": []}))
    assert read(answer["body"]) == whole
    call = instrumented.only_call()
    client.close()
    assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == (1_000, 20)


@pytest.mark.parametrize("leave", [_close, lambda body: None], ids=["closed", "dropped"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_body_nobody_reads_is_counted_by_bedrocks_headers(
    leave: Callable[[Any], Any], vendors_url: str, instrumented: Receiver
) -> None:
    client = bedrock(vendors_url, 0)
    client.chosen.update(headers("cache"))
    leave(client.invoke_model(modelId=NOVA, body=json.dumps({"messages": []}))["body"])
    call = instrumented.only_call()
    client.close()
    assert call["gen_ai.usage.cache_read.input_tokens"] == 600
    assert call["outlay.cost.nano_usd"] == 24_000 + 9_000 + 4_800


def test_other_services_of_aws_are_left_alone(vendors_url: str, instrumented: Receiver) -> None:
    client = boto3.client(
        "sts",
        region_name="us-east-1",
        endpoint_url=vendors_url,
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(Exception, match=r"."):
        client.get_caller_identity()
    client.close()
    assert instrumented.calls() == []


def _patched() -> dict[str, Any]:
    http, sdk = cohere.core.http_client, mistralai.client.basesdk.BaseSDK
    owners = (
        http.HttpClient,
        http.AsyncHttpClient,
        sdk,
        tracing,
        botocore.client.BaseClient,
        botocore.endpoint.Endpoint,
        botocore.eventstream.EventStream,
    )
    return {f"{owner}.{name}": value for owner in owners for name, value in vars(owner).items() if callable(value)}


def test_uninstrument_puts_everything_back(receiver: Receiver) -> None:
    before = _patched()
    outlay.instrument("mistral", "cohere", "boto3", endpoint=receiver.url)
    assert len([name for name, value in _patched().items() if value is not before[name]]) == 11
    outlay.uninstrument()
    assert _patched() == before
