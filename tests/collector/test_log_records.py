"""Log records that tell of calls: merged into the call of their span, or calls of their own; durable before 200."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import httpx2
import pytest
from google.protobuf.json_format import MessageToDict

from tests.collector.sending import PROTOBUF, Logged, Sent, chat, log, logs_of, send, stored

DETAILS = "gen_ai.client.inference.operation.details"
CLAUDE_CODE = {
    "session.id": "s1",
    "user.id": "u1",
    "model": "claude-opus-4-8",
    "input_tokens": "12",
    "output_tokens": "50",
    "cache_read_tokens": "800",
    "cache_creation_tokens": "200",
    "cost_usd": "0.003",
    "duration_ms": "1500",
    "request_id": "req_1",
}
COUNTED = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")


def details(**attributes: Any) -> Logged:
    return Logged(
        event=DETAILS,
        trace=1,
        span=1,
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
            **attributes,
        },
    )


@pytest.mark.parametrize("logs_first", [True, False])
async def test_an_event_is_merged_into_the_call_of_its_span(collector: httpx2.AsyncClient, logs_first: bool) -> None:
    span = {name: value for name, value in chat().items() if "usage" not in name}
    for step in (log, send) if logs_first else (send, log):
        await (step(collector, details()) if step is log else step(collector, Sent(attributes=span)))  # type: ignore[arg-type]
    (call,) = await stored(collector)
    assert (call["cost_usd"], call["span_id"], call["duration_ms"]) == ("0.0035", f"{1:016x}", 100)
    assert [report["scope"] for report in call["reports"]] == [
        "opentelemetry.instrumentation.openai_v2@1.0",
        "some.logger",
    ]


async def test_several_events_of_one_span_are_one_call(collector: httpx2.AsyncClient) -> None:
    await log(collector, details(), details(**{"gen_ai.usage.output_tokens": 99}))
    await send(collector, Sent(attributes=chat()))
    (call,) = await stored(collector)
    assert call["cost_usd"] == "0.0035"


async def test_an_event_without_a_span_is_known_by_its_response(collector: httpx2.AsyncClient) -> None:
    known = {"gen_ai.response.id": "r1", "gen_ai.provider.name": "openai"}
    await send(collector, Sent(attributes=chat(**{"gen_ai.response.id": "r1"})))
    lost = details(**known)
    await log(collector, Logged(event=DETAILS, attributes=lost.attributes))
    (call,) = await stored(collector)
    assert len(call["reports"]) == 2


async def test_an_event_that_could_not_be_told_from_its_span_is_let_go(collector: httpx2.AsyncClient) -> None:
    assert (await log(collector, Logged(event=DETAILS, attributes=details().attributes))).status_code == 200
    assert await stored(collector) == []


async def test_claude_codes_record_is_a_call_of_its_own(collector: httpx2.AsyncClient) -> None:
    record = Logged(event="claude_code.api_request", attributes=CLAUDE_CODE, scope="com.anthropic.claude_code.events")
    for _ in range(2):
        assert (await log(collector, record)).status_code == 200
    (call,) = await stored(collector)
    assert [call[name] for name in COUNTED] == [1012, 50, 800, 200]
    # 12 x $5 + 800 x $0.50 + 200 x $6.25 + 50 x $25 for a million: ours, not the tool's own figure.
    assert (call["cost_usd"], call["provider"], call["user"], call["session"]) == ("0.00296", "anthropic", "u1", "s1")
    assert call["duration_ms"] == 1500


async def test_claude_codes_span_and_record_of_one_request_are_one_call(collector: httpx2.AsyncClient) -> None:
    span = Sent(
        name="claude_code.llm_request",
        scope="com.anthropic.claude_code.tracing",
        attributes={name: int(value) if value.isdigit() else value for name, value in CLAUDE_CODE.items()},
    )
    await log(collector, Logged(event="claude_code.api_request", attributes=CLAUDE_CODE))
    await send(collector, span)
    (call,) = await stored(collector)
    assert len(call["reports"]) == 2
    assert call["cost_usd"] == "0.00296"


async def test_gemini_clis_thoughts_and_tools_are_billed(collector: httpx2.AsyncClient) -> None:
    said = {
        "model": "gemini-2.5-flash",
        "input_token_count": 1000,
        "cached_content_token_count": 400,
        "output_token_count": 100,
        "thoughts_token_count": 900,
        "tool_token_count": 200,
        "duration_ms": 10,
    }
    record = Logged(event="gemini_cli.api_response", attributes=said, scope="gemini-cli")
    again = Logged(event=DETAILS, attributes={**details().attributes, "gen_ai.response.id": "r"}, scope="gemini-cli")
    await log(collector, record, again)
    (call,) = await stored(collector)
    # 800 x $0.30 + 400 x $0.03 + 1000 x $2.50 for a million.
    assert ([call[name] for name in COUNTED], call["cost_usd"]) == ([1200, 1000, 400, None], "0.002752")


async def test_codexs_completed_responses_are_calls_and_its_other_events_are_not(collector: httpx2.AsyncClient) -> None:
    said = {"model": "gpt-4o", "input_token_count": 1000, "cached_token_count": 200, "output_token_count": 100}
    await log(
        collector,
        Logged(event="codex.sse_event", attributes={**said, "event.kind": "response.completed"}),
        Logged(event="codex.sse_event", attributes={**said, "event.kind": "response.output_item.done"}),
        Logged(event="codex.user_prompt", attributes=said),
    )
    (call,) = await stored(collector)
    assert call["cost_usd"] == "0.00325"  # 800 x $2.50 + 200 x $1.25 + 100 x $10 for a million


async def test_an_error_record_is_a_call_that_failed(collector: httpx2.AsyncClient) -> None:
    said = {"model": "claude-opus-4-8", "error": "overloaded", "status_code": 529, "duration_ms": 20}
    await log(collector, Logged(event="claude_code.api_error", attributes=said))
    (call,) = await stored(collector)
    assert (call["status"], call["cost_usd"]) == ("error", "0")


async def test_json_says_what_protobuf_says(collector: httpx2.AsyncClient) -> None:
    request = logs_of(Logged(event="claude_code.api_request", attributes=CLAUDE_CODE))
    await collector.post("/v1/logs", content=request.SerializeToString(), headers=PROTOBUF)
    document = json.dumps(MessageToDict(request))
    answer = await collector.post("/v1/logs", content=document, headers={"content-type": "application/json"})
    assert answer.json() == {}
    (call,) = await stored(collector)
    assert len(call["reports"]) == 1


async def test_records_that_tell_of_no_call_are_answered_and_let_go(collector: httpx2.AsyncClient) -> None:
    answer = await log(collector, Logged(event="user logged in"), Logged(event="gen_ai.choice", trace=1, span=1))
    assert (answer.status_code, answer.content) == (200, b"")
    assert await stored(collector) == []


async def test_records_without_a_time_are_counted_as_rejected(collector: httpx2.AsyncClient) -> None:
    record = Logged(event="claude_code.api_request", attributes=CLAUDE_CODE, at_ns=0)
    document = json.dumps(MessageToDict(logs_of(record)))
    answer = await collector.post("/v1/logs", content=document, headers={"content-type": "application/json"})
    assert answer.json()["partialSuccess"]["rejectedLogRecords"] == "1"


async def test_the_order_of_a_span_its_event_and_the_sdks_span_does_not_matter(collector: httpx2.AsyncClient) -> None:
    outer = {name: value for name, value in chat().items() if "usage" not in name}
    bills = []
    for trace, order in enumerate(permutations(range(3)), 1):
        for which in order:
            if which == 0:
                await send(collector, Sent(trace=trace, span=1, scope="outer", attributes=outer))
            elif which == 1:
                await send(collector, Sent(trace=trace, span=2, parent=1, attributes=chat()))
            else:
                event = details(**{"gen_ai.usage.input_tokens": 7})
                await log(collector, Logged(event=DETAILS, trace=trace, span=1, attributes=event.attributes))
    for call in await stored(collector):
        bills.append((len(call["reports"]), call["cost_usd"], call["bill"]["span_id"]))
    assert bills == [(3, "0.0035", f"{2:016x}")] * 6
