"""The one metric that is kept: `outlay.calls.dropped`, what Outlay's clients made and could not deliver.

Any other metric is checked and let go: a sum cannot be attributed to calls. Clients send theirs as protobuf; JSON is
only looked at to see that it is JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from outlay import attributes as at
from outlay.losses import DROPPED, HOLDER, REASON
from outlay.prices import PriceBook
from outlay.tally import Loss

from outlay_collector.ingest import Batch
from outlay_collector.otlp.span import BadBody
from outlay_collector.store.losses import ClientLoss

_KNOWN: Final = frozenset(Loss)
OTHER: Final = "other"
"""The reason of a client newer than this collector."""
_LONGEST: Final = 200
_MOST: Final = 2**53


def read_metrics(body: bytes, *, is_json: bool, book: PriceBook) -> Batch:
    """No report, and what clients lost. Raises `BadBody` where it is no export request."""
    del book
    try:
        if is_json:
            orjson.loads(body)
            return Batch(())
        request = ExportMetricsServiceRequest.FromString(body)
    except (DecodeError, ValueError) as error:
        raise BadBody(f"the body is no ExportMetricsServiceRequest: {error}") from None
    return Batch((), losses=tuple(_losses(request)))


def _losses(request: Any) -> Iterator[ClientLoss]:
    for group in request.resource_metrics:
        who = _texts(group.resource.attributes)
        for scope in group.scope_metrics:
            points = (p for metric in scope.metrics if metric.name == DROPPED for p in metric.sum.data_points)
            for point in points if scope.scope.name == at.SCOPE else ():
                reason = _texts(point.attributes).get(REASON, OTHER)
                if who.get(HOLDER) and 0 < point.as_int <= _MOST:
                    yield ClientLoss(
                        holder=who[HOLDER],
                        reason=reason if reason in _KNOWN else OTHER,
                        service=who.get(at.SERVICE),
                        environment=who.get(at.ENVIRONMENT),
                        calls=point.as_int,
                    )


def _texts(attributes: Iterable[Any]) -> dict[str, str]:
    """Attributes that are text, without the NUL that Postgres cannot hold."""
    return {
        pair.key: pair.value.string_value.replace("\0", "")[:_LONGEST] for pair in attributes if pair.value.string_value
    }
