"""What clients made and could not deliver, as the collector keeps and shows it."""

from __future__ import annotations

import httpx2
import pytest
from fastapi import FastAPI
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from outlay.losses import encode_losses
from outlay.tally import Loss, Who
from outlay_collector.app import create_app
from outlay_collector.settings import Settings, Store
from prometheus_client.parser import text_string_to_metric_families

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, PROTOBUF

NONE = {"calls": 0, "by_reason": {}, "losses": []}


async def tell(collector: httpx2.AsyncClient, holder: str, **losses: int) -> None:
    body = encode_losses(Who(holder, "shop", "prod", NOW_NS), {Loss(why): calls for why, calls in losses.items()})
    answer = await collector.post("/v1/metrics", content=body, headers=PROTOBUF)
    assert answer.status_code == 200, answer.text


async def dropped(collector: httpx2.AsyncClient) -> dict[str, float]:
    """The Prometheus counter by reason."""
    text = (await collector.get("/metrics")).text
    (family,) = [f for f in text_string_to_metric_families(text) if f.name == "outlay_client_dropped_calls"]
    return {sample.labels["reason"]: sample.value for sample in family.samples if sample.labels}


@BOTH_BACKENDS
async def test_the_highest_count_of_each_process_and_reason_is_the_truth(collector: httpx2.AsyncClient) -> None:
    await tell(collector, "p1", queue_full=3, killed=2)
    await tell(collector, "p1", queue_full=5)
    await tell(collector, "p1", queue_full=4)  # late
    await tell(collector, "p1", queue_full=5)  # again
    await tell(collector, "p2", queue_full=10)
    lost = (await collector.get("/api/v1/losses")).json()
    assert (lost["calls"], lost["by_reason"]) == (17, {"killed": 2, "queue_full": 15})
    assert lost["losses"][0] == {
        "holder": "p1",
        "service": "shop",
        "environment": "prod",
        "reason": "killed",
        "calls": 2,
        "first_at": "2026-11-20T12:00:00Z",
        "last_at": "2026-11-20T12:00:00Z",
    }
    assert await dropped(collector) == {"killed": 2, "queue_full": 15}
    month = (await collector.get("/api/v1/summary")).json()["month_to_date"]
    assert (month["lost_calls"], month["lost_by_reason"]) == (17, {"killed": 2, "queue_full": 15})


async def test_losses_are_there_after_a_restart(app: FastAPI, collector: httpx2.AsyncClient, database_url: str) -> None:
    await tell(collector, "p1", unsent=7)
    again = create_app(Settings(store=Store(url=database_url)), clock=lambda: NOW_NS)
    transport = httpx2.ASGITransport(again)
    async with again.router.lifespan_context(again), httpx2.AsyncClient(transport=transport, base_url="http://c") as c:
        assert await dropped(c) == {"unsent": 7}


async def test_a_window_has_the_processes_that_last_lost_a_call_in_it(collector: httpx2.AsyncClient) -> None:
    await tell(collector, "p1", killed=1)
    assert (await collector.get("/api/v1/losses", params={"to": "2026-11-20T12:00:00Z"})).json() == NONE
    assert (await collector.get("/api/v1/losses", params={"from": "2026-11-20T12:00:00Z"})).json()["calls"] == 1
    refusal = await collector.get("/api/v1/losses", params={"since": "yesterday"})
    assert (refusal.status_code, refusal.json()["error"]["field"]) == (422, "since")


@pytest.mark.parametrize(
    ("holder", "reason", "calls", "kept"),
    [
        ("p1", "queue_full", 4, {"queue_full": 4}),
        ("p1", "a reason of the future", 4, {"other": 4}),
        ("p1", "queue_full", -4, {}),
        ("p1", "queue_full", 2**62, {}),
        ("", "queue_full", 4, {}),
        ("p\0", "queue_full", 4, {"queue_full": 4}),
    ],
)
@BOTH_BACKENDS
async def test_what_cannot_be_is_passed_over(
    collector: httpx2.AsyncClient, holder: str, reason: str, calls: int, kept: dict[str, int]
) -> None:
    whole = encode_losses(Who(holder, None, None, 1), {Loss.QUEUE_FULL: 4})
    request = ExportMetricsServiceRequest.FromString(whole)
    point = request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0]
    point.as_int, point.attributes[0].value.string_value = calls, reason
    answer = await collector.post("/v1/metrics", content=request.SerializeToString(), headers=PROTOBUF)
    assert answer.status_code == 200
    assert (await collector.get("/api/v1/losses")).json()["by_reason"] == kept
