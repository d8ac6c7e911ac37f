"""Rate limits of providers, as calls last saw them."""

from __future__ import annotations

import httpx2
from outlay.prices import PriceBook
from outlay_collector.alerting import StoreReaders
from outlay_collector.ingest import read_batch
from outlay_collector.store.sql import SqlStore
from sqlalchemy import Engine

from tests.collector.sending import BOTH_BACKENDS, NOW, NOW_NS, Sent, body_of, chat, send

SECOND_NS = 10**9


def seen(trace: int, ago_s: int, remaining: int, *, reset_s: float = 60.0, service: str = "bot") -> Sent:
    """A call that ended that long ago and was told of its provider's limit of requests."""
    limit = "outlay.ratelimit.requests"
    said = {f"{limit}.limit": 500, f"{limit}.remaining": remaining, f"{limit}.reset_s": reset_s}
    return Sent(
        trace=trace,
        scope="outlay",
        attributes=chat(**said),
        started_at_ns=NOW_NS - ago_s * SECOND_NS - 100_000_000,
        resource={"service.name": service},
    )


@BOTH_BACKENDS
async def test_each_limit_is_shown_as_the_latest_call_saw_it(collector: httpx2.AsyncClient) -> None:
    await send(collector, seen(1, 30, 400), seen(2, 10, 200), seen(3, 20, 300))
    await send(collector, seen(4, 25, 350), seen(5, 5, 100, service="other"))
    limits = (await collector.get("/api/v1/limits", params={"service": "bot"})).json()["limits"]
    assert limits == [
        {
            "provider": "openai",
            "model": "gpt-4o-2024-08-06",
            "service": "bot",
            "name": "requests",
            "limit": 500,
            "remaining": 200,
            "headroom": 0.4,
            "resets_at": "2026-11-20T12:00:50Z",
            "seen_at": "2026-11-20T11:59:50Z",
        }
    ]
    assert len((await collector.get("/api/v1/limits")).json()["limits"]) == 2


async def test_a_limit_that_was_reset_since_has_no_known_headroom(collector: httpx2.AsyncClient) -> None:
    await send(collector, seen(1, 30, 400, reset_s=5.0))
    (limit,) = (await collector.get("/api/v1/limits")).json()["limits"]
    assert (limit["headroom"], limit["remaining"]) == (None, 400)


async def test_a_reset_that_cannot_be_is_unknown(collector: httpx2.AsyncClient) -> None:
    for trace, reset_s in ((1, -5.0), (2, 1e300), (3, float("nan"))):
        assert (await send(collector, seen(trace, 30 - trace, 400, reset_s=reset_s))).status_code == 200
        (limit,) = (await collector.get("/api/v1/limits")).json()["limits"]
        assert limit["resets_at"] is None


def test_rules_read_the_limits_that_hold_now(engine: Engine) -> None:
    held, over = seen(1, 30, 40), seen(2, 90, 10, service="other")
    store = SqlStore(engine)
    store.write(read_batch(body_of(held, over), is_json=False, book=PriceBook.bundled()).reports, NOW_NS)
    (state,) = StoreReaders(store, engine).limits(NOW)
    assert (state.provider, state.service, state.name, state.limit, state.remaining) == (
        "openai",
        "bot",
        "requests",
        500,
        40,
    )


async def test_calls_without_limits_leave_none(collector: httpx2.AsyncClient) -> None:
    await send(collector, Sent(attributes=chat()))
    assert (await collector.get("/api/v1/limits")).json() == {"limits": []}


async def test_a_parameter_nobody_knows_is_refused(collector: httpx2.AsyncClient) -> None:
    answer = await collector.get("/api/v1/limits", params={"modle": "x"})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "modle")
