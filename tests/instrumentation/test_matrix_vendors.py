"""Every way Mistral's, Cohere's and AWS's SDKs make a call, with every end: as without Outlay, and one span."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError
from cohere.core.api_error import ApiError
from mistralai.client.errors import MistralError

from tests.instrumentation.beside import Beside, cancelled, scene
from tests.instrumentation.doubles import items, settled
from tests.instrumentation.vendors import VENDORS, Vendor
from tests.instrumentation.vendors_double import CHUNKS

# Nano-USD. Mistral Large: $0.50 in, $0.05 read from the cache, $1.50 out, each a million tokens; Command A: $2.50 and
# $10, nothing apart for what is cached; Nova Lite: $0.06, $0.015 and $0.24.
EXACT: Final = {
    "mistral": {"": 500_000 + 30_000, "cache": 200_000 + 30_000 + 30_000},
    "cohere": {"": 2_500_000 + 200_000, "cache": 2_500_000 + 200_000},
    "boto3": {"": 60_000 + 4_800, "cache": 24_000 + 9_000 + 4_800},
}
"""1,000 in, 20 out."""
RATES: Final = {"mistral": (500, 1_500), "cohere": (2_500, 10_000), "boto3": (60, 240)}
"""Of a token in and out. The prompt has 49 characters, every chunk 20: 13 tokens and 5 at four a token."""
REFUSALS: Final = {"mistral": MistralError, "cohere": ApiError, "boto3": ClientError}
TYPES: Final = {"mistral": "429", "cohere": "429", "boto3": "ThrottlingException"}
"""What makes an error of a refusal only once the response is back says its status."""

every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
leaves_a_stream = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
every_count = pytest.mark.parametrize("counts", ["", "cache", "none"], ids=["usage", "cache usage", "no usage"])


def seen(answer: Any) -> Any:
    """What the application has of an answer or an event, but for the headers, which hold the time."""
    if not isinstance(answer, dict):
        return type(answer), answer.model_dump(mode="json") if hasattr(answer, "model_dump") else str(answer)
    body = answer.get("body")
    rest = {key: value for key, value in answer.items() if key not in ("ResponseMetadata", "body")}
    return rest, type(body), body.read() if hasattr(body, "read") else body


def estimate(vendor: Vendor, chunks: int) -> int:
    given, made = RATES[vendor.family]
    return 13 * given + 5 * chunks * made


# Whole answers.


@every_vendor
@every_count
async def test_an_answered_call_is_one_span_with_the_providers_counts(
    vendor: Vendor, counts: str, vendors_url: str, beside: Beside
) -> None:
    async with vendor.client(vendors_url) as client:

        async def play() -> Any:
            return seen(await settled(vendor.ask(client, counts)))

        call = await beside(play)
    assert "error.type" not in call
    assert "outlay.stream.end" not in call
    assert call["http.response.status_code"] == 200
    if counts == "none":
        assert call["outlay.cost.status"] == "unpriced"
        assert "outlay.cost.nano_usd" not in call
        return
    assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == (1_000, 20)
    is_split = counts == "cache" and vendor.family != "cohere"
    assert call.get("gen_ai.usage.cache_read.input_tokens", 0) == (600 if is_split else 0)
    assert call["outlay.cost.status"] == "exact"
    assert call["outlay.cost.nano_usd"] == EXACT[vendor.family][counts]


@every_vendor
async def test_a_refused_call_is_one_span_that_cost_nothing(vendor: Vendor, vendors_url: str, beside: Beside) -> None:
    async with vendor.client(vendors_url) as client:

        async def play() -> Any:
            return await settled(vendor.ask(client, "429"))

        call = await beside(play, fails=(REFUSALS[vendor.family],))
    assert call["error.type"] == TYPES[vendor.family]
    assert call["http.response.status_code"] == 429
    assert call["outlay.cost.nano_usd"] == 0


# Streams.


@every_vendor
@every_count
async def test_a_drained_stream_is_one_span_with_the_counts_of_its_end(
    vendor: Vendor, counts: str, vendors_url: str, beside: Beside
) -> None:
    async with vendor.client(vendors_url) as client:

        async def play() -> Any:
            stream = await settled(vendor.stream(client, counts))
            return type(stream), [seen(item) async for item in items(stream)]

        began = time.perf_counter()
        call = await beside(play)
    assert call["outlay.stream.end"] == "drained"
    assert call["gen_ai.request.stream"] is True
    assert 0 < call["gen_ai.response.time_to_first_chunk"] < time.perf_counter() - began
    if counts == "none":
        assert call["outlay.cost.status"] == "estimated"
        assert call["outlay.cost.nano_usd"] == estimate(vendor, CHUNKS)
    else:
        assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == (1_000, 20)
        assert call["outlay.cost.status"] == "exact"
        assert call["outlay.cost.nano_usd"] == EXACT[vendor.family][counts]


@every_vendor
@every_count
async def test_a_stream_that_breaks_is_one_span_with_an_estimated_cost(
    vendor: Vendor, counts: str, vendors_url: str, beside: Beside
) -> None:
    taken: list[Any] = []
    async with vendor.client(vendors_url) as client:

        async def play() -> None:
            taken.clear()
            async for item in items(await settled(vendor.stream(client, scene(counts, "cut")))):
                taken.append(item)

        call = await beside(play, fails=(Exception,))
    assert len(taken) == 2
    assert call["outlay.stream.end"] == "failed"
    assert call["error.type"]
    assert call["outlay.cost.status"] == "estimated"
    assert call["outlay.cost.nano_usd"] == estimate(vendor, 2)


@pytest.mark.parametrize("vendor", [v for v in VENDORS if v.family == "boto3"], ids=lambda vendor: vendor.name)
@leaves_a_stream
async def test_an_error_the_provider_sends_in_a_stream_ends_it(
    vendor: Vendor, vendors_url: str, beside: Beside
) -> None:
    async with vendor.client(vendors_url) as client:

        async def play() -> None:
            async for _ in items(vendor.stream(client, "error")):
                pass

        call = await beside(play, fails=(Exception,))
    assert call["outlay.stream.end"] == "failed"
    assert call["error.type"] == "EventStreamError"
    assert call["outlay.cost.nano_usd"] == estimate(vendor, 2)


def _skip_what_reads_on(vendor: Vendor) -> None:
    if vendor.reads_on:
        pytest.skip("this version's stream swallows that it is left, and reads on to its end")


class Trouble(Exception):
    """The application's own."""


@every_vendor
@every_count
@leaves_a_stream
async def test_a_stream_whose_consumer_raises_is_one_span_with_an_estimated_cost(
    vendor: Vendor, counts: str, vendors_url: str, beside: Beside
) -> None:
    _skip_what_reads_on(vendor)
    trouble = Trouble("the consumer is out of order")
    async with vendor.client(vendors_url) as client:

        async def play() -> None:
            async for _ in items(await settled(vendor.stream(client, scene(counts, "wait")))):
                raise trouble

        async def raises() -> str:
            with pytest.raises(Trouble) as raised:
                await play()
            assert raised.value is trouble
            trouble.__traceback__ = None  # which keeps the frame, and so the stream
            return "raised"

        call = await beside(raises, drops=True)
    assert call["outlay.stream.end"] == "collected"
    assert "error.type" not in call
    assert call["outlay.cost.status"] == "estimated"
    assert call["outlay.cost.nano_usd"] == estimate(vendor, 1)


@every_vendor
@every_count
@pytest.mark.parametrize("chunks", [0, 1])
@leaves_a_stream
async def test_an_abandoned_stream_is_one_span_with_an_estimated_cost(
    vendor: Vendor, counts: str, chunks: int, vendors_url: str, beside: Beside
) -> None:
    if vendor.family == "cohere" and not chunks:
        pytest.skip("a generator: nothing is sent before it is asked for its first event")
    _skip_what_reads_on(vendor)
    async with vendor.client(vendors_url) as client:

        async def play() -> str:
            stream = await settled(vendor.stream(client, scene(counts, "wait")))
            if chunks:
                await anext(items(stream))
            return "left"

        call = await beside(play, drops=True)
    assert call["outlay.stream.end"] == "collected"
    assert call["outlay.cost.status"] == "estimated"
    assert call["outlay.cost.nano_usd"] == estimate(vendor, chunks)


@every_vendor
@every_count
@leaves_a_stream
async def test_a_closed_stream_is_one_span_with_an_estimated_cost(
    vendor: Vendor, counts: str, vendors_url: str, beside: Beside, request: pytest.FixtureRequest
) -> None:
    _skip_what_reads_on(vendor)
    if vendor.family == "cohere":
        reason = "Cohere's stream is a generator, and closing one looks the same from inside as dropping it"
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    async with vendor.client(vendors_url) as client:

        async def play() -> str:
            stream = await settled(vendor.stream(client, scene(counts, "wait")))
            taken = items(stream)
            await anext(taken)
            await taken.aclose()
            await settled(getattr(stream, "aclose", stream.close)())
            return "closed"

        call = await beside(play)
    assert call["outlay.stream.end"] == "closed"
    assert call["outlay.cost.status"] == "estimated"
    assert call["outlay.cost.nano_usd"] == estimate(vendor, 1)


@pytest.mark.parametrize("vendor", [v for v in VENDORS if v.is_async], ids=lambda vendor: vendor.name)
@every_count
async def test_a_cancelled_stream_is_one_span_with_an_estimated_cost(
    vendor: Vendor, counts: str, vendors_url: str, beside: Beside
) -> None:
    async with vendor.client(vendors_url) as client:
        play = cancelled(lambda: settled(vendor.stream(client, scene(counts, "wait"))))
        call = await beside(play, fails=(asyncio.CancelledError,))
    assert call["outlay.stream.end"] == "cancelled"
    assert call["outlay.cost.status"] == "estimated"
    assert call["outlay.cost.nano_usd"] == estimate(vendor, 1)
