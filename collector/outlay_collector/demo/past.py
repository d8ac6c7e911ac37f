"""A way for today's calls into the past, so that a new installation has a month to look at.

The sample application's calls are real and happen now. On their way to the collector they pass here: a span whose tag
says how long ago it is to have been is moved back by that and loses the tag. If it was given a price it loses that too,
so that the collector prices it by what was valid then. Nothing else is touched, and only the demo uses this.
"""

from __future__ import annotations

import gzip
from typing import Final

import httpx2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from outlay.attributes import COST_LINES, TAG_PREFIX
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

AGO_TAG: Final = "demo.ago_ns"
"""The tag of `outlay.context` that says how long ago a call is to have been, in nanoseconds."""

_PRICE: Final = ("outlay.cost.", "gen_ai.usage.cost.")


def past(collector_url: str) -> Starlette:
    """The application that moves spans back and hands them to the collector at `collector_url`."""

    async def traces(request: Request) -> Response:
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        async with httpx2.AsyncClient() as client:
            answer = await client.post(
                f"{collector_url}/v1/traces",
                content=moved(body),
                headers={"content-type": "application/x-protobuf"},
                timeout=30,
            )
        kept = {name: value for name, value in answer.headers.items() if name in ("content-type", "retry-after")}
        return Response(answer.content, answer.status_code, kept)

    return Starlette(routes=[Route("/v1/traces", traces, methods=["POST"])])


def moved(body: bytes) -> bytes:
    """The same export request, with every span that has the tag moved back."""
    request = ExportTraceServiceRequest.FromString(body)
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                _move(span)
    found: bytes = request.SerializeToString()
    return found


def _move(span: Span) -> None:
    said = {attribute.key: attribute.value.string_value for attribute in span.attributes}
    ago_ns = int(said.get(TAG_PREFIX + AGO_TAG) or 0)
    if not ago_ns:
        return
    span.start_time_unix_nano -= ago_ns
    span.end_time_unix_nano -= ago_ns
    for event in span.events:
        event.time_unix_nano -= ago_ns
    stripped = (TAG_PREFIX + AGO_TAG, *(_PRICE if COST_LINES in said else ()))
    kept = [attribute for attribute in span.attributes if not attribute.key.startswith(stripped)]
    del span.attributes[:]
    span.attributes.extend(kept)
