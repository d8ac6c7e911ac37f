"""One call, one bill: whoever reports it, how often, and in whatever order."""

from __future__ import annotations

from itertools import permutations

import httpx2
import pytest

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, chat, send, stored

STARTED = NOW_NS - 60_000_000_000
ANTHROPIC_SDK = "com.anthropic.sdk.python"
OTHER = "some.instrumentation"

pytestmark = BOTH_BACKENDS


def with_id(response_id: str, **attributes: object) -> dict[str, object]:
    return chat(**{"gen_ai.response.id": response_id, **attributes})


def failed(**attributes: object) -> dict[str, object]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        **attributes,
    }


async def test_two_reports_with_one_response_id_are_one_call_billed_by_the_better_source(
    collector: httpx2.AsyncClient,
) -> None:
    other = Sent(trace=1, span=1, scope=OTHER, attributes=with_id("r1", **{"gen_ai.usage.output_tokens": 999}))
    official = Sent(trace=2, span=2, attributes=with_id("r1"))
    await send(collector, other)
    await send(collector, official)
    (call,) = await stored(collector)
    assert call["output_tokens"] == 100
    assert [report["scope"] for report in call["reports"]] == [f"{official.scope}@1.0", f"{OTHER}@1.0"]


async def test_the_order_reports_arrive_in_does_not_matter(collector: httpx2.AsyncClient) -> None:
    spans = [
        Sent(
            trace=1, span=1, scope=OTHER, attributes=with_id("r1", **{"user.id": "u", "gen_ai.usage.output_tokens": 7})
        ),
        Sent(trace=1, span=2, parent=1, attributes=with_id("r1", **{"outlay.feature": "chat"})),
        Sent(trace=1, span=3, parent=2, scope=ANTHROPIC_SDK, attributes=with_id("r1", **{"session.id": "s"})),
    ]
    bills = []
    for trace, order in enumerate(permutations(spans), 1):
        for sent in order:
            again = {**sent.attributes, "gen_ai.response.id": f"r{trace}"}
            await send(collector, Sent(**{**vars(sent), "trace": trace, "attributes": again}))
    for call in await stored(collector):
        bills.append(
            {name: call[name] for name in ("output_tokens", "user", "feature", "session", "span_id", "cost_usd")}
        )
    assert len(bills) == 6
    assert bills == [bills[0]] * 6
    # The SDK's own span is the best source: its output counts; what it leaves out the others fill in.
    assert bills[0] == {
        "output_tokens": 100,
        "user": "u",
        "feature": "chat",
        "session": "s",
        "span_id": "0000000000000003",
        "cost_usd": "0.0035",
    }


async def test_a_span_inside_another_of_the_same_call_is_no_second_call(collector: httpx2.AsyncClient) -> None:
    outer = Sent(span=1, scope=OTHER, attributes=failed(), failed=True)
    inner = Sent(span=2, parent=1, scope=ANTHROPIC_SDK, attributes=failed(**{"http.response.status_code": 429}))
    for spans in ((outer, inner), (inner, outer)):
        await send(collector, *spans)
    (call,) = await stored(collector)
    assert len(call["reports"]) == 2
    assert call["http_status"] == 429


@pytest.mark.parametrize("parent_first", [True, False])
async def test_nesting_is_found_across_batches(collector: httpx2.AsyncClient, parent_first: bool) -> None:
    spans = [
        Sent(span=1, scope=OTHER, attributes=failed()),
        Sent(span=2, parent=1, scope=ANTHROPIC_SDK, attributes=failed()),
    ]
    for sent in spans if parent_first else reversed(spans):
        await send(collector, sent)
    assert len(await stored(collector)) == 1


async def test_calls_side_by_side_under_one_parent_stay_apart(collector: httpx2.AsyncClient) -> None:
    await send(
        collector,
        Sent(span=1, scope=OTHER, attributes=chat()),
        Sent(span=2, parent=1, attributes=with_id("r1")),
        Sent(span=3, parent=1, attributes=with_id("r2")),
    )
    calls = await stored(collector)
    assert {call["response_id"] for call in calls} == {"r1", "r2"}


async def test_an_embedding_inside_a_chat_is_a_call_of_its_own(collector: httpx2.AsyncClient) -> None:
    embedding = chat(**{"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "text-embedding-3-small"})
    await send(collector, Sent(span=1, attributes=chat()), Sent(span=2, parent=1, attributes=embedding))
    assert len(await stored(collector)) == 2


async def test_a_late_report_joins_two_calls_that_were_thought_apart(collector: httpx2.AsyncClient) -> None:
    await send(collector, Sent(trace=1, span=3, parent=2, scope=ANTHROPIC_SDK, attributes=failed()))
    await send(collector, Sent(trace=2, span=9, scope="another", attributes=failed(**{"gen_ai.response.id": "m1"})))
    assert len(await stored(collector)) == 2
    await send(collector, Sent(trace=1, span=2, scope=OTHER, attributes=failed(**{"gen_ai.response.id": "m1"})))
    (call,) = await stored(collector)
    assert len(call["reports"]) == 3


@pytest.mark.parametrize("operation", ["invoke_agent", "execute_tool", "retrieval", "invoke_workflow"])
async def test_spans_that_are_no_call_are_not_billed(collector: httpx2.AsyncClient, operation: str) -> None:
    agent = chat(**{"gen_ai.operation.name": operation})
    await send(collector, Sent(span=1, attributes=agent), Sent(span=2, parent=1, attributes=chat()))
    (call,) = await stored(collector)
    assert call["operation"] == "chat"


async def test_ids_that_ollama_uses_again_do_not_make_calls_one(collector: httpx2.AsyncClient) -> None:
    local = with_id("chatcmpl-123", **{"gen_ai.provider.name": "ollama"})
    await send(collector, Sent(trace=1, attributes=local), Sent(trace=2, attributes=local))
    assert len(await stored(collector)) == 2


async def test_an_error_the_provider_answered_with_costs_nothing(collector: httpx2.AsyncClient) -> None:
    refused = failed(**{"http.response.status_code": 429})
    await send(collector, Sent(trace=1, attributes=refused, failed=True))
    await send(collector, Sent(trace=2, attributes=failed(**{"error.type": "APITimeoutError"}), failed=True))
    timed_out, limited = sorted(await stored(collector), key=lambda call: call["trace_id"], reverse=True)
    assert (limited["cost_usd"], limited["status"]) == ("0", "error")
    assert (timed_out["cost_usd"], timed_out["cost_status"]) == (None, "unpriced")


@pytest.mark.parametrize("error", ["OpenAIRateLimitError", "BadRequestError", "ThrottlingException", "ModelHTTPError"])
async def test_a_frameworks_name_of_a_providers_refusal_is_one(collector: httpx2.AsyncClient, error: str) -> None:
    await send(collector, Sent(attributes=failed(**{"error.type": error}), failed=True))
    (call,) = await stored(collector)
    assert (call["cost_usd"], call["cost_reason"]) == (
        "0",
        f"the provider answered with {error}, which it does not bill",
    )
