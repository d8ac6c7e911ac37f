"""Finished calls as the bytes of one OTLP export request.

Source of the field numbers: opentelemetry-proto 1.45.2, `trace/v1/trace_pb2.pyi`, `resource` and `common` beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from outlay import attributes as at
from outlay.emit import span_attributes, span_name
from outlay.guard import shielded
from outlay.protobuf import attributes, fixed32, fixed64, nested, parts, text, whole

if TYPE_CHECKING:
    from outlay.export import Finished

_GROUPS, _RESOURCE, _SCOPES, _SCOPE, _RECORDS = 1, 1, 2, 1, 2
"""Of a request its groups; of a group its resource and its scopes; of a scope itself and its spans. Metrics are the
same down to there."""
_CLIENT: Final = 3
_ERROR: Final = 2


def encode(calls: Iterable[Finished]) -> tuple[bytes, int]:
    """One request; a resource for each service and environment among the calls. With it how many calls it holds: one
    that cannot be encoded is left out."""
    spans = [
        (_resource(finished.call.attribution.service, finished.call.attribution.environment), span)
        for finished in calls
        if (span := _span(finished)) is not None
    ]
    return request(spans), len(spans)


def halves(body: bytes) -> tuple[bytes, bytes]:
    """Two requests with what was in one, in its order. The first is empty where there was a single span."""
    spans = []
    for _, group in parts(body):
        resource = next(content for field, content in parts(group) if field == _RESOURCE)
        scopes = [content for field, content in parts(group) if field == _SCOPES]
        spans += [(resource, span) for scope in scopes for field, span in parts(scope) if field == _RECORDS]
    return request(spans[: len(spans) // 2]), request(spans[len(spans) // 2 :])


def request(records: Sequence[tuple[bytes, bytes]]) -> bytes:
    """An export request of records, spans or metrics, each with its resource; those of one resource stand together."""
    by_resource: dict[bytes, list[bytes]] = {}
    for resource, record in records:
        by_resource.setdefault(resource, []).append(nested(_RECORDS, record))
    return b"".join(
        nested(_GROUPS, nested(_RESOURCE, resource) + nested(_SCOPES, _scope() + b"".join(records)))
        for resource, records in by_resource.items()
    )


@cache
def _scope() -> bytes:
    return nested(_SCOPE, text(1, at.SCOPE) + text(2, version("outlay")))


@lru_cache(maxsize=64)
def _resource(service: str | None, environment: str | None) -> bytes:
    said = {at.SERVICE: service, at.ENVIRONMENT: environment, "telemetry.sdk.language": "python"}
    return attributes(1, {name: value for name, value in said.items() if value is not None})


@shielded
def _span(finished: Finished) -> bytes:
    call, ids = finished.call, finished.ids
    fields = (
        nested(1, ids.trace_id.to_bytes(16)),
        nested(2, ids.span_id.to_bytes(8)),
        b"" if ids.parent_span_id is None else nested(4, ids.parent_span_id.to_bytes(8)),
        text(5, span_name(call)),
        whole(6, _CLIENT),
        fixed64(7, call.started_at_ns),
        fixed64(8, call.ended_at_ns),
        attributes(9, finished.told or span_attributes(call)),
        b"" if call.error_type is None else nested(15, whole(3, _ERROR)),
        fixed32(16, ids.flags),
    )
    return b"".join(fields)
