"""When a call was: late ones belong to their own hour, and a clock that is ahead hides nothing in the future."""

from __future__ import annotations

import httpx2

from tests.collector.sending import NOW_NS, Sent, chat, send

HOUR_NS = 3_600 * 1_000_000_000
WHOLE = {"from": "2020-01-01T00:00:00Z", "to": "2040-01-01T00:00:00Z"}


async def calls(collector: httpx2.AsyncClient) -> list[dict[str, object]]:
    listed = (await collector.get("/api/v1/calls", params=WHOLE)).json()["calls"]
    return [(await collector.get(f"/api/v1/calls/{call['id']}")).json() for call in listed]


async def test_a_call_of_a_clock_that_is_ahead_is_there_at_once_and_marked(collector: httpx2.AsyncClient) -> None:
    ahead = Sent(attributes=chat(), started_at_ns=NOW_NS + 3 * HOUR_NS, duration_ms=2_000)
    assert (await send(collector, ahead)).status_code == 200
    (row,) = (await collector.get("/api/v1/usage", params={"interval": "hour"})).json()["rows"]
    assert row["calls"] == 1
    (call,) = await calls(collector)
    assert (call["clock_ahead_ms"], call["duration_ms"]) == (3 * 3_600_000 + 2_000, 2_000)
    assert call["ended_at"] == call["received_at"]


async def test_a_call_of_a_clock_that_is_ahead_is_one_call_when_it_is_sent_again(collector: httpx2.AsyncClient) -> None:
    ahead = Sent(attributes=chat(), started_at_ns=NOW_NS + 3 * HOUR_NS)
    for _ in range(2):
        await send(collector, ahead)
    assert len(await calls(collector)) == 1


async def test_clocks_may_differ_a_little(collector: httpx2.AsyncClient) -> None:
    await send(collector, Sent(attributes=chat(), started_at_ns=NOW_NS + 1_000_000_000, duration_ms=1))
    (call,) = await calls(collector)
    assert call["clock_ahead_ms"] is None


async def test_a_late_call_lands_in_its_own_hour(collector: httpx2.AsyncClient) -> None:
    late = NOW_NS - NOW_NS % HOUR_NS - 20 * HOUR_NS
    await send(collector, Sent(attributes=chat(), started_at_ns=late))
    (row,) = (await collector.get("/api/v1/usage", params={"interval": "hour"})).json()["rows"]
    (call,) = await calls(collector)
    assert (row["bucket"], call["clock_ahead_ms"]) == (call["started_at"], None)
