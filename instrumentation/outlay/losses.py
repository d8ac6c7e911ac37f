"""Lost calls as a metric, `outlay.calls.dropped`: for each process, how many so far and why.

A sum from the beginning of the process under its own id: told again it is the same sum, and the highest is the truth.
Source of the field numbers: opentelemetry-proto 1.45.2, `metrics/v1/metrics_pb2.pyi`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from outlay import attributes as at
from outlay.otlp import request
from outlay.protobuf import attributes, fixed64, nested, text, whole
from outlay.tally import Loss, Who

DROPPED: Final = "outlay.calls.dropped"
REASON: Final = "reason"
HOLDER: Final = "service.instance.id"
_CUMULATIVE: Final = 2


def encode_losses(who: Who, losses: Mapping[Loss, int]) -> bytes:
    """One request, with a point for each reason."""
    now_ns = time.time_ns()
    since_ns = min(who.started_at_ns, now_ns)
    points = [
        fixed64(2, since_ns) + fixed64(3, now_ns) + fixed64(6, calls) + attributes(7, {REASON: why.value})
        for why, calls in losses.items()
    ]
    metric = (
        text(1, DROPPED),
        text(2, "Calls that were made and will not be in the store."),
        text(3, "{call}"),
        nested(7, b"".join(nested(1, point) for point in points) + whole(2, _CUMULATIVE) + whole(3, True)),
    )
    said = {HOLDER: who.holder, at.SERVICE: who.service, at.ENVIRONMENT: who.environment}
    resource = attributes(1, {name: value for name, value in said.items() if value})
    return request([(resource, b"".join(metric))])
