"""A trace as a tree: its steps and its calls, each with what it and all below it cost.

Pure. Spans come in any order, some never come, and parents may be anything a sender wrote: a node whose parent is not
known stands at the top, and so does one of a ring of nodes that are one another's parents. The tree is a list, depth
first, so that no depth of nesting is a depth of calls.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from outlay_collector.steps import Step

CALL = "call"


@dataclass(slots=True, kw_only=True)
class Node:
    """One place of the tree. `calls`, `cost_nano_usd` and `unpriced_calls` count everything from here down; the cost is
    None where none of it is known. `call` is the call's row where the node is one."""

    span_id: str
    parent_span_id: str | None
    kind: str
    name: str
    started_at_ns: int
    ended_at_ns: int
    failed: bool
    call: Mapping[str, Any] | None = None
    depth: int = 0
    calls: int = 0
    cost_nano_usd: int | None = None
    unpriced_calls: int = 0


@dataclass(frozen=True, slots=True)
class Spans:
    """The spans that told of calls: of each its call and its parent."""

    call_of: Mapping[str, int]
    parent_of: Mapping[str, str | None]
    of_call: Mapping[int, Sequence[str]] = field(default_factory=dict)


def tree_of(steps: Iterable[Step], calls: Iterable[Mapping[str, Any]], spans: Spans) -> list[Node]:
    """The nodes, each before what is below it, siblings in the order they started."""
    nodes = [_step_node(step) for step in steps] + [_call_node(call, spans) for call in calls]
    place: dict[str, Node] = {node.span_id: node for node in nodes}
    by_call = {node.call["id"]: node for node in nodes if node.call is not None}
    for span_id, call_id in spans.call_of.items():
        if call_id in by_call:
            place.setdefault(span_id, by_call[call_id])
    below: defaultdict[str | None, list[Node]] = defaultdict(list)
    for node in nodes:
        above = place.get(node.parent_span_id or "")
        below[None if above is None or above is node else above.span_id].append(node)
    ordered = _depth_first(nodes, below)
    _sum_up(ordered)
    return ordered


def _step_node(step: Step) -> Node:
    return Node(
        span_id=step.span_id,
        parent_span_id=step.parent_span_id,
        kind=step.kind,
        name=step.name,
        started_at_ns=step.started_at_ns,
        ended_at_ns=step.ended_at_ns,
        failed=step.failed,
    )


def _call_node(call: Mapping[str, Any], spans: Spans) -> Node:
    """A call that several spans tell of hangs where the outermost of them does."""
    own = set(spans.of_call.get(call["id"], ())) | {call["span_id"]}
    outer = [parent for span in sorted(own) if (parent := spans.parent_of.get(span)) is not None and parent not in own]
    return Node(
        span_id=call["span_id"],
        parent_span_id=outer[0] if outer else None,
        kind=CALL,
        name=f"{call['operation']} {call['model'] or ''}".strip(),
        started_at_ns=call["started_at_ns"],
        ended_at_ns=call["ended_at_ns"],
        failed=call["status"] == "error",
        call=call,
        calls=1,
        cost_nano_usd=call["cost_nano_usd"],
        unpriced_calls=int(call["cost_nano_usd"] is None),
    )


def _depth_first(nodes: Sequence[Node], below: Mapping[str | None, list[Node]]) -> list[Node]:
    ordered: list[Node] = []
    seen: set[int] = set()
    tops = sorted(below.get(None, ()), key=_by_start)
    rings = sorted(nodes, key=_by_start)
    for top in (*tops, *rings):
        stack = [(top, 0)]
        while stack:
            node, depth = stack.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            node.depth = depth
            ordered.append(node)
            inner = sorted(below.get(node.span_id, ()), key=_by_start, reverse=True)
            stack.extend((each, depth + 1) for each in inner)
    return ordered


def _sum_up(ordered: Sequence[Node]) -> None:
    """Each node's figures into what it stands below, from the last to the first."""
    path: list[Node] = []
    above: list[Node | None] = []
    for node in ordered:
        del path[node.depth :]
        above.append(path[-1] if path else None)
        path.append(node)
    for node, parent in zip(reversed(ordered), reversed(above), strict=True):
        if parent is not None:
            parent.calls += node.calls
            parent.unpriced_calls += node.unpriced_calls
            if node.cost_nano_usd is not None:
                parent.cost_nano_usd = (parent.cost_nano_usd or 0) + node.cost_nano_usd


def _by_start(node: Node) -> tuple[int, str]:
    return node.started_at_ns, node.span_id
