"""A trace as a tree: agents, tools and calls where they hang, each with what it and all below it cost."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from outlay_collector.retention import prune, would_prune
from outlay_collector.settings import Retention
from outlay_collector.steps import Step
from outlay_collector.store.steps import StepStore
from outlay_collector.tree import Spans, tree_of
from sqlalchemy import Engine

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, Sent, chat, send

STARTED = NOW_NS - 60_000_000_000
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper", "gen_ai.usage.input_tokens": 2000}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
HTTP = {"http.request.method": "GET"}


def named(name: str, attributes: dict[str, Any], span: int, parent: int | None, at_ms: int) -> Sent:
    return Sent(name=name, attributes=attributes, span=span, parent=parent, started_at_ns=STARTED + at_ms * 1_000_000)


SPANS = (
    named("agent", AGENT, 1, None, 0),
    named("chat", chat(**{"gen_ai.response.id": "a"}), 2, 1, 1),
    named("search", TOOL, 3, 1, 2),
    named("chat", chat(**{"gen_ai.response.id": "b"}), 4, 3, 3),
    named("GET", HTTP, 5, 1, 4),
    named("chat", chat(**{"gen_ai.response.id": "c", "gen_ai.response.model": "made-up"}), 6, 5, 5),
)


async def tree(client: httpx2.AsyncClient) -> list[tuple[Any, ...]]:
    answer = (await client.get(f"/api/v1/traces/{1:032x}")).json()
    return [
        (node["depth"], node["kind"], node["name"], node["calls"], node["cost_usd"], node["unpriced_calls"])
        for node in answer["tree"]
    ]


@BOTH_BACKENDS
@pytest.mark.parametrize("reverse", [False, True])
async def test_every_node_has_the_cost_of_all_below_it(collector: httpx2.AsyncClient, reverse: bool) -> None:
    for span in reversed(SPANS) if reverse else SPANS:
        await send(collector, span)
        await send(collector, span)
    # Each call of gpt-4o: 1000 x $2.50 + 100 x $10 for a million. What hung below a span nobody keeps stands on top.
    assert await tree(collector) == [
        (0, "agent", "agent", 2, "0.007", 0),
        (1, "call", "chat gpt-4o-2024-08-06", 1, "0.0035", 0),
        (1, "tool", "search", 1, "0.0035", 0),
        (2, "call", "chat gpt-4o-2024-08-06", 1, "0.0035", 0),
        (0, "call", "chat made-up", 1, None, 1),
    ]


async def test_a_call_two_instrumentations_tell_of_is_one_node_where_the_outer_hangs(
    collector: httpx2.AsyncClient,
) -> None:
    outer = Sent(name="outer", span=2, parent=1, scope="other", attributes=chat())
    inner = Sent(name="inner", span=3, parent=2, attributes=chat())
    below = named("search", TOOL, 4, 3, 9)
    await send(collector, named("agent", AGENT, 1, None, 0), outer, inner, below)
    assert [(depth, kind) for depth, kind, *_ in await tree(collector)] == [(0, "agent"), (1, "call"), (2, "tool")]


async def test_a_trace_of_steps_alone_is_a_tree_without_a_cost(collector: httpx2.AsyncClient) -> None:
    await send(collector, named("agent", AGENT, 1, None, 0))
    answer = (await collector.get(f"/api/v1/traces/{1:032X}")).json()
    assert (answer["cost_usd"], answer["calls"], answer["tree"][0]["cost_usd"]) == (None, [], None)


@pytest.mark.parametrize("trace_id", ["0" * 31 + "2", "x", "zz" * 16, "é" * 32])
async def test_an_unknown_trace_is_not_found(collector: httpx2.AsyncClient, trace_id: str) -> None:
    assert (await collector.get(f"/api/v1/traces/{trace_id}")).status_code == 404


async def test_steps_are_committed_before_they_are_acknowledged(collector: httpx2.AsyncClient) -> None:
    assert (await send(collector, *(named("agent", AGENT, n, None, n) for n in range(1, 51)))).status_code == 200
    assert len(await tree(collector)) == 50


def step(span: int, parent: int | None, *, trace: int = 1, started_at_ns: int = STARTED) -> Step:
    return Step(
        trace_id=f"{trace:032x}",
        span_id=f"{span:016x}",
        parent_span_id=None if parent is None else f"{parent:016x}",
        kind="agent",
        name="step",
        started_at_ns=started_at_ns,
        ended_at_ns=started_at_ns + 5,
        failed=False,
    )


@BOTH_BACKENDS
def test_steps_go_with_the_spans(engine: Engine) -> None:
    day_ns = 86_400_000_000_000
    store = StepStore(engine)
    steps = [step(n, None, started_at_ns=NOW_NS - n * day_ns) for n in range(1, 41)]
    assert store.write(steps, NOW_NS).new == 40
    assert store.write(steps, NOW_NS).repeated == 40
    retention = Retention(spans=timedelta(days=30))
    assert would_prune(engine, retention, NOW_NS)["steps"] == 10
    assert prune(engine, retention, NOW_NS)["steps"] == 10
    assert would_prune(engine, retention, NOW_NS)["steps"] == 0


ids = st.integers(1, 12)


@given(st.lists(st.tuples(ids, st.none() | ids, st.integers(0, 9)), max_size=30))
def test_whatever_parents_say_every_node_is_in_the_tree_once(said: list[tuple[int, int | None, int]]) -> None:
    calls = [
        {
            "id": n,
            "span_id": f"{100 + n:016x}",
            "operation": "chat",
            "model": None,
            "started_at_ns": STARTED,
            "ended_at_ns": STARTED,
            "status": "ok",
            "cost_nano_usd": n,
        }
        for n in range(3)
    ]
    spans = Spans(
        {f"{100 + n:016x}": n for n in range(3)},
        {f"{100 + n:016x}": f"{n + 1:016x}" for n in range(3)},
        {n: [f"{100 + n:016x}"] for n in range(3)},
    )
    steps = list({span: step(span, parent, started_at_ns=STARTED + at) for span, parent, at in said}.values())
    nodes = tree_of(steps, calls, spans)
    assert len(nodes) == len({node.span_id for node in nodes}) == len(steps) + 3
    tops = [node for node in nodes if node.depth == 0]
    assert sum(node.calls for node in tops) == 3
    assert sum(node.cost_nano_usd or 0 for node in tops) == 3
    assert all(after.depth <= before.depth + 1 for before, after in pairwise(nodes))


def test_a_chain_of_ten_thousand_is_a_tree_too() -> None:
    nodes = tree_of([step(n, n - 1 or None) for n in range(1, 10_001)], [], Spans({}, {}))
    assert nodes[-1].depth == 9_999
