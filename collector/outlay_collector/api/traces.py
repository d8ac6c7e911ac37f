"""A trace: its steps and its calls as a tree, with what each costs and all below it."""

from __future__ import annotations

import re
from typing import Any, Final

from fastapi import APIRouter

from outlay_collector.api.calls import call_json
from outlay_collector.api.dependencies import EngineOf, StoreOf
from outlay_collector.api.errors import not_found
from outlay_collector.money import usd_text
from outlay_collector.periods import rfc3339
from outlay_collector.store.engine import reading
from outlay_collector.store.steps import spans_of, steps_of
from outlay_collector.tree import Node, tree_of

router = APIRouter(prefix="/api/v1", tags=["calls"])

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")


@router.get("/traces/{trace_id}")
def get_trace(trace_id: str, store: StoreOf, engine: EngineOf) -> dict[str, Any]:
    """`tree` lists steps and calls depth first: each before what is below it, `depth` counted from 0. Figures of a node
    are of everything from it down. `calls` are the trace's calls in the order they started, and `cost_usd` is what
    they cost together."""
    trace_id = trace_id.lower()
    if not _TRACE_ID.fullmatch(trace_id):
        raise not_found(f"trace {trace_id}")
    calls = store.trace(trace_id)
    with reading(engine) as connection:
        steps, spans = steps_of(connection, trace_id), spans_of(connection, trace_id)
    if not calls and not steps:
        raise not_found(f"trace {trace_id}")
    costs = [call["cost_nano_usd"] for call in calls if call["cost_nano_usd"] is not None]
    return {
        "trace_id": trace_id,
        "cost_usd": usd_text(sum(costs)) if costs else None,
        "unpriced_calls": len(calls) - len(costs),
        "tree": [_node_json(node) for node in tree_of(steps, calls, spans)],
        "calls": [
            {**call_json(call), "span_id": call["span_id"], "parent_span_id": call["parent_span_id"]} for call in calls
        ],
    }


def _node_json(node: Node) -> dict[str, Any]:
    return {
        "depth": node.depth,
        "kind": node.kind,
        "name": node.name,
        "span_id": node.span_id,
        "parent_span_id": node.parent_span_id,
        "call_id": None if node.call is None else node.call["id"],
        "started_at": rfc3339(node.started_at_ns),
        "duration_ms": (node.ended_at_ns - node.started_at_ns) / 1e6,
        "failed": node.failed,
        "calls": node.calls,
        "cost_usd": usd_text(node.cost_nano_usd),
        "unpriced_calls": node.unpriced_calls,
    }
