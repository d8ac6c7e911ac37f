"""The query API: sums, lists, exports, and the one shape of every error."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import Any

import httpx2
import pytest
from outlay_collector.periods import to_ns

from tests.collector.sending import BOTH_BACKENDS, Sent, chat, send

pytestmark = BOTH_BACKENDS


def at(text: str) -> int:
    return to_ns(datetime.fromisoformat(text))


async def get(client: httpx2.AsyncClient, path: str, **params: Any) -> Any:
    answer = await client.get(f"/api/v1/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def rows(client: httpx2.AsyncClient, **params: Any) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = (await get(client, "usage", **params))["rows"]
    return answer


async def three_calls(client: httpx2.AsyncClient) -> None:
    """Two chats of $0.0035 and one call of a model nobody knows, which failed."""
    unknown = chat(**{"gen_ai.request.model": "zeta", "gen_ai.response.model": "zeta", "outlay.feature": "draft"})
    await send(
        client,
        Sent(trace=1, attributes=chat(**{"outlay.feature": "chat", "user.id": "u1", "outlay.tag.tier": "free"})),
        Sent(trace=2, attributes=chat(**{"outlay.feature": "chat", "user.id": "u2"}), duration_ms=1000),
        Sent(trace=3, attributes=unknown, failed=True),
    )


async def test_without_calls_there_are_no_rows(collector: httpx2.AsyncClient) -> None:
    assert await rows(collector) == []


async def test_sums_say_how_many_calls_have_no_price(collector: httpx2.AsyncClient) -> None:
    await three_calls(collector)
    (row,) = await rows(collector)
    assert (row["calls"], row["errors"], row["unpriced_calls"], row["cost_usd"]) == (3, 1, 1, "0.007")
    assert (row["input_tokens"], row["cache_read_tokens"], row["bucket"]) == (3000, None, None)


async def test_rows_are_grouped_by_every_dimension_and_tag(collector: httpx2.AsyncClient) -> None:
    await three_calls(collector)
    grouped = await rows(collector, group_by="feature,user,tag.tier")
    assert [(row["feature"], row["user"], row["tag.tier"], row["cost_usd"]) for row in grouped] == [
        ("chat", "u1", "free", "0.0035"),
        ("chat", "u2", None, "0.0035"),
        ("draft", None, None, None),
    ]


@pytest.mark.parametrize(
    ("filters", "calls"),
    [
        ({"feature": "chat"}, 2),
        ({"feature": ["chat", "draft"]}, 3),
        ({"user": ""}, 1),
        ({"user": ["", "u1"]}, 2),
        ({"tag.tier": "free"}, 1),
        ({"status": "error"}, 1),
        ({"model": "gpt-4o-2024-08-06", "user": "u2"}, 1),
    ],
)
async def test_filters_take_any_of_their_values(
    collector: httpx2.AsyncClient, filters: dict[str, Any], calls: int
) -> None:
    await three_calls(collector)
    assert (await rows(collector, **filters))[0]["calls"] == calls
    assert len((await get(collector, "calls", **filters))["calls"]) == calls


async def test_the_groups_greatest_in_a_measure_come_first_and_the_others_stay_out(
    collector: httpx2.AsyncClient,
) -> None:
    # 1,000 and 100 tokens of gpt-4o are $0.0035 a call; bo makes three, al two, cy one.
    users = ("bo", "al", "bo", "cy", "al", "bo")
    await send(
        collector, *(Sent(trace=n, attributes=chat(**{"user.id": user})) for n, user in enumerate(users, start=1))
    )
    by_cost = await rows(collector, group_by="user", limit=2)
    assert [(row["user"], row["cost_usd"]) for row in by_cost] == [("bo", "0.0105"), ("al", "0.007")]
    assert by_cost[0]["latency_ms"]["p50"] is not None
    assert [row["user"] for row in await rows(collector, group_by="user", order="calls")] == ["bo", "al", "cy"]
    by_day = await rows(collector, group_by="user", order="calls", limit=1, interval="day")
    assert [(row["user"], row["calls"]) for row in by_day] == [("bo", 3)]


async def test_rows_have_only_the_figures_that_are_wanted(collector: httpx2.AsyncClient) -> None:
    await three_calls(collector)
    (whole,) = await rows(collector, user="u1")
    for measures in (["calls", "cost_usd"], ["latency_ms"], ["avoided_usd", "input_tokens"], list(whole)[1:]):
        (some,) = await rows(collector, user="u1", measures=",".join(measures))
        assert some == {name: whole[name] for name in whole if name in ("bucket", *measures)}
    by_user = await rows(collector, group_by="user", user=["u1", "u2"], order="input_tokens", limit=1, measures="calls")
    assert by_user == [{"bucket": None, "user": "u1", "calls": 1}]


async def test_calls_can_be_picked_by_how_well_their_cost_is_known(collector: httpx2.AsyncClient) -> None:
    await three_calls(collector)
    found = (await get(collector, "calls", cost_status="unpriced"))["calls"]
    assert [(call["feature"], call["cost_usd"]) for call in found] == [("draft", None)]
    assert len((await get(collector, "calls", cost_status=["unpriced", "exact"]))["calls"]) == 3


async def test_percentiles_are_within_five_per_cent(collector: httpx2.AsyncClient) -> None:
    durations = [3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 60_000]
    await send(collector, *(Sent(trace=n, attributes=chat(), duration_ms=ms) for n, ms in enumerate(durations, 1)))
    (row,) = await rows(collector)
    assert row["latency_ms"]["p50"] == pytest.approx(300, rel=0.05)
    assert row["latency_ms"]["p95"] == pytest.approx(60_000, rel=0.05)
    assert row["ttft_ms"] == {"p50": None, "p95": None, "p99": None}


async def test_a_call_belongs_to_the_local_day_it_started_in(collector: httpx2.AsyncClient) -> None:
    # 18:29:59.999 and 18:30 UTC: the last moment of 14 November in India and the first of the 15th.
    late, early = at("2026-11-14T18:29:59.999000+00:00"), at("2026-11-14T18:30:00+00:00")
    await send(collector, Sent(trace=1, attributes=chat(), started_at_ns=late))
    await send(collector, Sent(trace=2, attributes=chat(), started_at_ns=early))
    window = {"from": "2026-11-14T12:00:00+05:30", "to": "2026-11-16T00:00:00+05:30"}
    days = await rows(collector, interval="day", timezone="Asia/Kolkata", **window)
    assert [(row["bucket"], row["calls"]) for row in days] == [
        ("2026-11-14T00:00:00+05:30", 1),
        ("2026-11-15T00:00:00+05:30", 1),
    ]
    (utc,) = await rows(collector, interval="day", **window)
    assert (utc["bucket"], utc["calls"]) == ("2026-11-14T00:00:00Z", 2)


async def test_a_window_is_half_open(collector: httpx2.AsyncClient) -> None:
    start = at("2026-11-14T10:00:00+00:00")
    await send(collector, Sent(attributes=chat(), started_at_ns=start))
    assert len(await rows(collector, **{"from": "2026-11-14T10:00:00Z", "to": "2026-11-14T11:00:00Z"})) == 1
    assert await rows(collector, **{"from": "2026-11-14T09:00:00Z", "to": "2026-11-14T10:00:00Z"}) == []
    for filters in ({}, {"model": chat()["gen_ai.response.model"]}):
        for hour, calls in ((9, 0), (10, 1)):
            window = {"from": f"2026-11-14T{hour:02}:00:00Z", "to": f"2026-11-14T{hour + 1:02}:00:00Z"}
            assert len((await get(collector, "calls", **window, **filters))["calls"]) == calls


async def test_pages_of_calls_meet_without_gap_or_overlap(collector: httpx2.AsyncClient) -> None:
    same = at("2026-11-20T10:00:00+00:00")
    await send(collector, *(Sent(trace=n, attributes=chat(), started_at_ns=same + n // 3) for n in range(1, 12)))
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await get(collector, "calls", limit=4, **cursor)
        seen += [call["trace_id"][-2:] for call in page["calls"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == [f"{n:02x}" for n in range(11, 0, -1)]


async def test_a_trace_has_its_calls_and_their_sum(collector: httpx2.AsyncClient) -> None:
    await send(
        collector,
        Sent(trace=7, span=1, attributes=chat(), scope="a"),
        Sent(trace=7, span=2, attributes=chat(), scope="b"),
    )
    trace = await get(collector, f"traces/{7:032x}")
    assert (trace["cost_usd"], trace["unpriced_calls"], len(trace["calls"])) == ("0.007", 0, 2)


async def test_the_summary_has_today_the_month_and_where_it_is_going(collector: httpx2.AsyncClient) -> None:
    # The clock stands at 2026-11-20T12:00Z. A call of $0.0035 at 13:00 of each of the ten days before, none today.
    for day in range(10, 20):
        started = at(f"2026-11-{day}T13:00:00+00:00")
        await send(collector, Sent(trace=day, attributes=chat(), started_at_ns=started))
    summary = await get(collector, "summary")
    assert (summary["today"]["calls"], summary["today"]["cost_usd"]) == (0, "0")
    assert (summary["month_to_date"]["calls"], summary["month_to_date"]["cost_usd"]) == (10, "0.035")
    # Seven equal days: the mean is $0.0035 a day, without spread, and 10.5 days are left.
    assert summary["projected_month_end"] == {"cost_usd": "0.07175", "low_usd": "0.07175", "high_usd": "0.07175"}


async def test_without_two_days_of_history_nothing_is_projected(collector: httpx2.AsyncClient) -> None:
    await send(collector, Sent(attributes=chat()))
    summary = await get(collector, "summary", timezone="Asia/Kolkata")
    assert summary["projected_month_end"] is None
    assert summary["today"]["from"] == "2026-11-20T00:00:00+05:30"
    assert (summary["today"]["cost_usd"], summary["today"]["error_rate"]) == ("0.0035", 0.0)


async def test_the_export_is_csv_without_formulas(collector: httpx2.AsyncClient) -> None:
    await send(
        collector,
        Sent(trace=1, attributes=chat(**{"outlay.feature": '=HYPERLINK("http://x")'})),
        Sent(trace=2, attributes=chat(**{"outlay.feature": "chat, and more"})),
    )
    answer = await collector.get("/api/v1/export", params={"format": "csv", "by": "feature", "interval": "day"})
    assert answer.headers["content-type"].startswith("text/csv")
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["feature"] for row in table] == ['\'=HYPERLINK("http://x")', "chat, and more"]
    assert table[0]["bucket"] == "2026-11-20T00:00:00Z"
    assert (table[0]["cost_usd"], table[0]["cache_read_tokens"]) == ("0.0035", "")


@pytest.mark.parametrize(
    ("path", "status", "field", "said"),
    [
        ("usage?from=yesterday", 422, "from", "RFC 3339"),
        ("usage?from=2026-11-01T00:00:00", 422, "from", "offset"),
        ("usage?from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z", 422, "from", "later"),
        ("usage?timezone=Mars/Olympus", 422, "timezone", "IANA"),
        ("usage?timezone=../../etc/passwd", 422, "timezone", "IANA"),
        ("usage?interval=week", 422, "interval", "minute"),
        ("usage?interval=minute&from=2020-01-01T00:00:00Z", 422, "interval", "10000"),
        ("usage?group_by=modle", 422, "group_by", "did you mean model"),
        ("usage?modle=gpt-4o", 422, "modle", "did you mean model"),
        ('usage?group_by=tag.a"b', 422, "group_by", "dimension"),
        ("usage?group_by=user&limit=0", 422, "limit", "1000"),
        ("usage?measures=calls,cost", 422, "measures", "did you mean cost_usd"),
        ("export?measures=calls", 422, "measures", "there is no such parameter"),
        ("usage?order=latency", 422, "order", "cost_usd"),
        ("calls?cost_status=free", 422, "cost_status", "unpriced"),
        ("calls?limit=0", 422, "limit", "500"),
        ("calls?limit=many", 422, "limit", "many"),
        ("calls?cursor=xyz", 422, "cursor", "none that"),
        ("calls/12345", 404, None, "12345"),
        ("calls/first", 422, "call_id", "integer"),
        ("traces/abc", 404, None, "abc"),
        ("export?format=xls", 422, "format", "csv"),
        ("nothing", 404, None, "Not Found"),
    ],
)
async def test_every_error_has_one_shape_and_names_its_field(
    collector: httpx2.AsyncClient, path: str, status: int, field: str | None, said: str
) -> None:
    answer = await collector.get(f"/api/v1/{path}")
    error = answer.json()["error"]
    assert answer.status_code == status
    assert error.get("field") == field
    assert said in error["message"]
    assert error["code"]


async def test_health_readiness_and_metrics(collector: httpx2.AsyncClient) -> None:
    await three_calls(collector)
    assert (await collector.get("/healthz")).json() == {"status": "ok"}
    assert (await collector.get("/readyz")).status_code == 200
    metrics = (await collector.get("/metrics")).text
    assert "outlay_calls_stored_total 3\n" in metrics
    assert "outlay_unpriced_reports_total 1\n" in metrics


async def test_the_openapi_document_lists_every_route(collector: httpx2.AsyncClient) -> None:
    paths = (await collector.get("/openapi.json")).json()["paths"]
    assert {"/v1/traces", "/api/v1/usage", "/api/v1/summary", "/api/v1/calls", "/api/v1/export"} <= set(paths)
