"""What Outlay adds to a call of an SDK, beside a hand-written span with the same attributes.

Bare, hand-written and Outlay take turns in short blocks within one process; reported is the median of the paired
differences in CPU time of all threads, with its 95% interval. The provider is httpx2's in-memory transport, so that
nothing but Python is measured; finished spans go to an exporter that throws them away, in both contenders.

    python benchmarks/overhead.py [--rounds 120] [--calls 20]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import anthropic
import httpx2
import openai
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind
from outlay.budgets.gate import OpenGate
from outlay.emit import span_attributes, span_name
from outlay.export import Delivery, Finished
from outlay.patches import Patches
from outlay.prices import PriceBook
from outlay.runtime import Runtime
from outlay.sdks import SDKS
from outlay.settings import Settings, read_settings
from outlay.transport import patch_transport

QUESTION: Any = [{"role": "user", "content": "Name three rivers of Europe and say where each of them ends. " * 8}]
SIZES = (10, 110)
CALLS_A_SECOND = 20
"""How many calls come together before the delivery's thread looks at them, once a second."""

Call = Callable[[], Any]


class Nowhere(SpanExporter):
    """Takes spans and forgets them."""

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def events(chunks: Iterable[tuple[str | None, dict[str, Any]]], end: bytes = b"") -> httpx2.Response:
    lines = [(f"event: {kind}\n" if kind else "") + f"data: {json.dumps(data)}\n\n" for kind, data in chunks]
    content = "".join(lines).encode() + end
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=content)


def openai_answer(request: httpx2.Request) -> httpx2.Response:
    asked = json.loads(request.content)
    head = {"id": "chatcmpl-1", "created": 1, "model": "gpt-4o-2024-08-06", "system_fingerprint": "fp_1"}
    usage = {
        "prompt_tokens": 1068,
        "completion_tokens": 110,
        "total_tokens": 1178,
        "prompt_tokens_details": {"cached_tokens": 256, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    if not asked.get("stream"):
        message = {"role": "assistant", "content": "The Rhine, the Danube and the Rhône. " * 10, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        answer = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        return httpx2.Response(200, headers={"x-request-id": "req_1"}, json=answer)
    head["object"] = "chat.completion.chunk"
    words = [{"index": 0, "delta": {"content": "Rhine "}, "finish_reason": None}] * int(asked["seed"])
    chunks: list[dict[str, Any]] = [{**head, "choices": [word], "usage": None} for word in words]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None})
    chunks.append({**head, "choices": [], "usage": usage})
    return events(((None, chunk) for chunk in chunks), b"data: [DONE]\n\n")


def anthropic_answer(request: httpx2.Request) -> httpx2.Response:
    asked = json.loads(request.content)
    usage = {
        "input_tokens": 812,
        "cache_read_input_tokens": 256,
        "cache_creation_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 110,
        "service_tier": "standard",
    }
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": [{"type": "text", "text": "The Rhine, the Danube and the Rhône. " * 10}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }
    if not asked.get("stream"):
        return httpx2.Response(200, headers={"request-id": "req_1"}, json=message)
    opening = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Rhine "}}
    parts: list[dict[str, Any]] = [
        {"type": "message_start", "message": opening},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[delta] * (asked["max_tokens"]),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 110}},
        {"type": "message_stop"},
    ]
    return events((part["type"], part) for part in parts)


def openai_calls() -> dict[str, Call]:
    transport = httpx2.MockTransport(openai_answer)
    client = openai.OpenAI(api_key="none", http_client=httpx2.Client(transport=transport))

    def unary() -> Any:
        return client.chat.completions.create(model="gpt-4o", messages=QUESTION)

    def streamed(chunks: int) -> Call:
        def call() -> Any:
            last = None
            options: Any = {"include_usage": True}
            for chunk in client.chat.completions.create(
                model="gpt-4o", messages=QUESTION, stream=True, stream_options=options, seed=chunks
            ):
                last = chunk
            return last

        return call

    return {"unary": unary, **{f"stream of {size}": streamed(size) for size in SIZES}}


def anthropic_calls() -> dict[str, Call]:
    transport = httpx2.MockTransport(anthropic_answer)
    client = anthropic.Anthropic(api_key="none", http_client=httpx2.Client(transport=transport), open_telemetry=False)

    def unary() -> Any:
        return client.messages.create(model="claude-sonnet-4-6", max_tokens=100, messages=QUESTION)

    def streamed(chunks: int) -> Call:
        def call() -> Any:
            last = None
            for event in client.messages.create(
                model="claude-sonnet-4-6", max_tokens=chunks, messages=QUESTION, stream=True
            ):
                last = event
            return last

        return call

    return {"unary": unary, **{f"stream of {size}": streamed(size) for size in SIZES}}


class Sink(Delivery):
    """Does what the delivery's thread does, as often as it does it, and throws the outcome away."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.last: Finished | None = None
        self._tasks: list[Callable[[], object]] = []

    def do_later(self, task: Callable[[], object]) -> int:
        self._tasks.append(task)
        if len(self._tasks) >= CALLS_A_SECOND:
            self.catch_up()
        return 0

    def catch_up(self) -> None:
        for task in self._tasks:
            task()
        self._tasks.clear()

    def put(self, finished: Finished) -> None:
        self.last = finished
        span_attributes(finished.call)
        self.tally.settled((finished.ticket,))


class Contenders:
    """The three ways of making a call."""

    def __init__(self, tracers: TracerProvider) -> None:
        self._tracer = tracers.get_tracer("by hand")
        settings = read_settings({"OUTLAY_SPOOL_DIR": "off"})  # `delivery.py` measures what the spool costs
        self._sink = Sink(settings)
        self._runtime = Runtime(settings, PriceBook.bundled(), OpenGate(), self._sink)

    @contextmanager
    def bare(self) -> Iterator[None]:
        yield

    @contextmanager
    def outlay(self) -> Iterator[None]:
        patches = Patches()
        patch_transport(patches, httpx2._client)
        SDKS["openai"].patch(patches, self._runtime, openai._base_client)
        SDKS["anthropic"].patch(patches, self._runtime, anthropic._base_client)
        yield
        patches.undo()

    def by_hand(self, call: Call) -> Call:
        """What a careful person writes around the call: one span, the attributes Outlay gives it, set at once."""
        with self.outlay():
            call()
            self._sink.catch_up()
        assert self._sink.last is not None
        name, attributes = span_name(self._sink.last.call), dict(span_attributes(self._sink.last.call))

        def spanned() -> Any:
            with self._tracer.start_as_current_span(name, kind=SpanKind.CLIENT) as span:
                answer = call()
                span.set_attributes(attributes)
            return answer

        return spanned


def block_us(call: Call, times: int) -> float:
    """CPU time of all threads for one call, in microseconds."""
    began = time.process_time_ns()
    for _ in range(times):
        call()
    return (time.process_time_ns() - began) / times / 1000


def added_us(contenders: Contenders, call: Call, rounds: int, times: int) -> dict[str, list[float]]:
    """The cost of the bare call, and of each contender over the bare call of the same round."""
    ways = {
        "bare": (contenders.bare, call),
        "by hand": (contenders.bare, contenders.by_hand(call)),
        "outlay": (contenders.outlay, call),
    }
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        round_us = {}
        for name in random.sample(list(ways), len(ways)):
            patched, way = ways[name]
            with patched():
                round_us[name] = block_us(way, times)
        if number:  # the first warms up
            costs["bare"].append(round_us["bare"])
            for name in ("by hand", "outlay"):
                costs[name].append(round_us[name] - round_us["bare"])
    return costs


def interval(values: list[float]) -> tuple[float, float, float]:
    """The median and the 95% interval of it, by order statistics."""
    ordered, half = sorted(values), 0.98 * len(values) ** 0.5
    middle = len(ordered) / 2
    low, high = ordered[max(0, int(middle - half))], ordered[min(len(ordered) - 1, int(middle + half))]
    return statistics.median(ordered), low, high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=120)
    parser.add_argument("--calls", type=int, default=20, help="calls in a block")
    parser.add_argument("--traced", action="store_true", help="in an application that has a tracer provider")
    arguments = parser.parse_args()
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(Nowhere()))
    if arguments.traced:
        trace.set_tracer_provider(tracers)
    contenders = Contenders(tracers)
    print(f"{'':24}{'bare us':>10}{'by hand adds':>24}{'outlay adds':>24}{'ratio':>8}")
    for sdk, calls in (("openai", openai_calls()), ("anthropic", anthropic_calls())):
        for kind, call in calls.items():
            costs = added_us(contenders, call, arguments.rounds, arguments.calls)
            bare, hand, ours = (interval(costs[name]) for name in ("bare", "by hand", "outlay"))
            spans = [f"{middle:.1f} [{low:.1f}..{high:.1f}]" for middle, low, high in (hand, ours)]
            print(f"{sdk + ' ' + kind:24}{bare[0]:>10.1f}{spans[0]:>24}{spans[1]:>24}{ours[0] / hand[0]:>8.2f}")
    tracers.shutdown()


if __name__ == "__main__":
    main()
