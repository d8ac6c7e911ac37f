"""Lost calls as a metric, `outlay.calls.dropped`: for each process, how many so far and why.

A sum from the beginning of the process under its own id: told again it is the same sum, and the highest is the truth.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from outlay import attributes as at
from outlay.tally import Loss, Who

DROPPED: Final = "outlay.calls.dropped"
REASON: Final = "reason"
HOLDER: Final = "service.instance.id"


def encode_losses(who: Who, losses: Mapping[Loss, int]) -> bytes:
    """One request, with a point for each reason."""
    now_ns = time.time_ns()
    points = [
        NumberDataPoint(
            attributes=[_pair(REASON, why.value)],
            start_time_unix_nano=min(who.started_at_ns, now_ns),
            time_unix_nano=now_ns,
            as_int=calls,
        )
        for why, calls in losses.items()
    ]
    metric = Metric(
        name=DROPPED,
        unit="{call}",
        description="Calls that were made and will not be in the store.",
        sum=Sum(
            data_points=points,
            aggregation_temporality=AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE,
            is_monotonic=True,
        ),
    )
    said = {HOLDER: who.holder, at.SERVICE: who.service, at.ENVIRONMENT: who.environment}
    resource = Resource(attributes=[_pair(name, value) for name, value in said.items() if value])
    scope = ScopeMetrics(scope=InstrumentationScope(name=at.SCOPE, version=version("outlay")), metrics=[metric])
    request = ExportMetricsServiceRequest(resource_metrics=[ResourceMetrics(resource=resource, scope_metrics=[scope])])
    encoded: bytes = request.SerializeToString()
    return encoded


def _pair(name: str, value: str) -> KeyValue:
    return KeyValue(key=name, value=AnyValue(string_value=value))
