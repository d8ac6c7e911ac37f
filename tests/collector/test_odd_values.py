"""Nothing that is odd inside a span stops the rest: it is kept as unknown, beside good calls."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.collector.sending import (
    BOTH_BACKENDS,
    Logged,
    Sent,
    chat,
    log,
    send,
    stored,
)
from tests.collector.spoken import SPOKEN


@pytest.mark.parametrize(
    ("scope", "name", "value"),
    [
        ("litellm", "metadata.usage_object", "{'prompt_tokens': 1, 'completion_tokens': 1, 'x': " + "9" * 40 + "}"),
        ("litellm", "metadata.usage_object", "{'prompt_tokens': 1, 'completion_tokens': 1, 'x': {1, 2}, b'y': 1j}"),
        ("logfire.openai", "gen_ai.usage.raw", '{"prompt_tokens": 1, "x": ' + "[" * 400 + "]" * 400 + "}"),
        ("logfire.openai", "gen_ai.usage.raw", '{"prompt_tokens": 1, "completion_tokens": 1, "x": "nul\\u0000"}'),
    ],
    ids=["a number too large", "no JSON", "nested", "NUL"],
)
@BOTH_BACKENDS
async def test_no_usage_object_can_stop_a_batch(
    collector: httpx2.AsyncClient, scope: str, name: str, value: str
) -> None:
    odd = {"gen_ai.request.model": "gpt-4o", "request_data": "{}", "litellm.call_id": "1", name: value}
    answer = await send(collector, Sent(trace=1, scope=scope, attributes=odd), Sent(trace=2, attributes=chat()))
    assert answer.status_code == 200
    assert len(await stored(collector)) == 2


@pytest.mark.parametrize(
    "value",
    ["nul\0byte", "x" * 50_000, float("nan"), float("inf"), -1, 2**62, True, "{" * 5_000, '{"input": 1e400}'],
    ids=lambda value: str(value)[:12],
)
@BOTH_BACKENDS
async def test_no_value_of_any_dialect_can_stop_a_batch(collector: httpx2.AsyncClient, value: Any) -> None:
    """Each attribute of each dialect once as something else, all in one body with a good call."""
    odd = [
        Sent(trace=2, span=number, scope=spoken.scope, name=spoken.name, attributes={**spoken.attributes, name: value})
        for number, (spoken, name) in enumerate(((s, n) for s in SPOKEN.values() for n in s.attributes), 1)
    ]
    assert (await send(collector, *odd, Sent(trace=1, attributes=chat()))).status_code == 200
    listed = (await collector.get("/api/v1/calls", params={"limit": 500})).json()["calls"]
    (good,) = (call for call in listed if call["trace_id"] == f"{1:032x}")
    assert good["cost_usd"] == "0.0035"
    records = [
        Logged(event="claude_code.api_request", attributes={"model": "claude-opus-4-8", "input_tokens": 1, name: value})
        for name in ("model", "input_tokens", "request_id", "duration_ms", "cost_usd", "session.id", "status_code")
    ]
    assert (await log(collector, *records)).status_code == 200


@BOTH_BACKENDS
async def test_odd_values_are_stored_as_unknown_beside_good_calls(collector: httpx2.AsyncClient) -> None:
    odd = chat(
        **{
            "gen_ai.usage.input_tokens": float("nan"),
            "gen_ai.usage.output_tokens": -5,
            "gen_ai.response.finish_reasons": ["st\0op", "x" * 5000],
            "user.id": "nul\0byte",
            "outlay.tag.big": "y" * 100_000,
            "http.response.status_code": 2**62,
            "gen_ai.response.time_to_first_chunk": float("inf"),
        }
    )
    assert (await send(collector, Sent(trace=1, attributes=odd), Sent(trace=2, attributes=chat()))).status_code == 200
    good, bad = sorted(await stored(collector), key=lambda call: call["trace_id"], reverse=True)
    assert good["cost_usd"] == "0.0035"
    assert (bad["input_tokens"], bad["cost_status"], bad["user"], bad["ttft_ms"]) == (None, "unpriced", "nulbyte", None)
    assert len(bad["tags"]["big"]) == 256


@BOTH_BACKENDS
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("outlay.usage", '{"input": 99999999999999999999999999, "output": 1}'),
        ("outlay.usage", '{"input": "1e400"}'),
        ("outlay.usage.raw", '{"text": "nul\\u0000byte", "kept": "\\\\u0000"}'),
        ("outlay.usage.raw", '{"a":' * 300 + "1" + "}" * 300),
        ("outlay.cost.nano_usd", 2**63 - 1),
        ("outlay.cost.lines", '[{"unit":"input","quantity":1,"rate":"1","per":1' + "0" * 30 + ',"cost_usd":"1"}]'),
        ("http.response.status_code", 10**11),
        ("http.request.resend_count", 10**11),
        ("outlay.attempts", '[{"status": 1' + "0" * 30 + ', "ms": 1}]'),
    ],
)
async def test_no_value_can_stop_a_batch(collector: httpx2.AsyncClient, name: str, value: Any) -> None:
    cost = {"outlay.cost.status": "exact", "outlay.cost.nano_usd": 5}
    odd = Sent(trace=1, scope="outlay", attributes={**chat(), **cost, name: value})
    assert (await send(collector, odd, Sent(trace=2, attributes=chat()))).status_code == 200
    assert len(await stored(collector)) == 2
