"""The ends of a call that are not ours: a collector that keeps what it is sent, a provider told what to say."""

from __future__ import annotations

import asyncio
import gzip
import importlib
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import anthropic
import openai
import outlay
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from starlette.requests import Request
from starlette.responses import Response


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """One span as it came over the wire, attributes decoded and JSON ones still text."""

    name: str
    trace_id: str
    span_id: str
    parent_span_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    failed: bool
    started_at_ns: int
    ended_at_ns: int

    def json(self, name: str) -> Any:
        return json.loads(self.attributes[name])


@dataclass
class Receiver:
    """Answers `POST /v1/traces` with the statuses it is given, then with 200; keeps what it took."""

    url: str = ""
    spans: list[ReceivedSpan] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    statuses_of_metrics: list[int] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    requests: int = 0
    meanwhile: Callable[[], object] | None = None
    """What happens elsewhere before a request is answered."""
    losses: dict[tuple[str, str], int] = field(default_factory=dict)
    """What processes said they have lost: by process and reason, the highest count."""

    async def hear(self, request: Request) -> Response:
        """`POST /v1/metrics`."""
        if self.statuses_of_metrics:
            return Response(status_code=self.statuses_of_metrics.pop(0), headers={"location": "/login"})
        told = ExportMetricsServiceRequest.FromString(_plain(request, await request.body()))
        for group in told.resource_metrics:
            holder = {pair.key: _value(pair.value) for pair in group.resource.attributes}["service.instance.id"]
            for metric in group.scope_metrics[0].metrics:
                for point in metric.sum.data_points:
                    key = holder, point.attributes[0].value.string_value
                    self.losses[key] = max(point.as_int, self.losses.get(key, 0))
        await self._wait()
        return Response()

    async def take(self, request: Request) -> Response:
        body = await request.body()
        self.requests += 1
        self.headers.append(dict(request.headers))
        await self._wait()
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.spans.extend(_spans(ExportTraceServiceRequest.FromString(_plain(request, body))))
        return Response(status_code=status, headers={"retry-after": "0"} if status == 503 else {})

    async def _wait(self) -> None:
        if self.meanwhile is not None:
            await asyncio.to_thread(self.meanwhile)

    @property
    def response_ids(self) -> list[str]:
        """In the order in which the calls began: they may come in another."""
        began = sorted(self.spans, key=lambda span: span.started_at_ns)
        return [span.attributes["gen_ai.response.id"] for span in began]

    def calls(self) -> list[dict[str, Any]]:
        """The attributes of every span, once all that waits has been sent."""
        assert outlay.flush()
        return [span.attributes for span in self.spans]

    def only_call_received(self) -> dict[str, Any]:
        """`only_call` where Outlay is out of force again."""
        (span,) = self.spans
        return span.attributes

    def only_call(self) -> dict[str, Any]:
        (call,) = self.calls()
        return call


def _plain(request: Request, body: bytes) -> bytes:
    return gzip.decompress(body) if request.headers.get("content-encoding") == "gzip" else body


def _spans(request: ExportTraceServiceRequest) -> Iterator[ReceivedSpan]:
    for group in request.resource_spans:
        resource = {pair.key: _value(pair.value) for pair in group.resource.attributes}
        for scope in group.scope_spans:
            assert scope.scope.name == "outlay"
            for span in scope.spans:
                yield ReceivedSpan(
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_span_id=span.parent_span_id.hex(),
                    attributes={pair.key: _value(pair.value) for pair in span.attributes},
                    resource=resource,
                    failed=span.status.code == 2,
                    started_at_ns=span.start_time_unix_nano,
                    ended_at_ns=span.end_time_unix_nano,
                )


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return [_value(item) for item in value.array_value.values] if kind == "array_value" else getattr(value, str(kind))


@dataclass(frozen=True, slots=True)
class Answering:
    """A provider that gives one prepared answer to everything, and the requests it was sent."""

    url: str
    bodies: list[dict[str, Any]]

    @property
    def openai(self) -> openai.OpenAI:
        return openai.OpenAI(api_key="none", base_url=self.url, max_retries=0)

    @property
    def async_openai(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(api_key="none", base_url=self.url, max_retries=0)

    @property
    def anthropic(self) -> anthropic.Anthropic:
        return anthropic.Anthropic(api_key="none", base_url=self.url, max_retries=0)


def transport_of(sdk: ModuleType) -> ModuleType:
    """httpx2 or httpx: what this version of the SDK sends with."""
    return importlib.import_module(sdk.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])


Answer = Callable[[dict[str, Any]], Response]


def sse(*events: dict[str, Any], done: bool = True) -> Response:
    """Events as OpenAI sends them; those with a `type` also under its name, as Anthropic does."""
    lines = [(f"event: {e['type']}\n" if "type" in e else "") + f"data: {json.dumps(e)}\n\n" for e in events]
    return Response("".join(lines) + ("data: [DONE]\n\n" if done else ""), media_type="text/event-stream")


async def settled(value: Any) -> Any:
    """The value, awaited where it has to be: one test body for clients of both kinds."""
    return await value if inspect.isawaitable(value) else value


async def items(stream: Any) -> AsyncIterator[Any]:
    """What a stream of either kind yields."""
    if hasattr(stream, "__aiter__"):
        async for item in stream:
            yield item
    else:
        for item in stream:
            yield item
