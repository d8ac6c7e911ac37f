"""Steps of traces: written once, read a trace at a time, removed with the spans.

They have a writer of their own, which commits what waits for it together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Connection, Engine, delete, func, select, tuple_

from outlay_collector.steps import Step
from outlay_collector.store.engine import reading
from outlay_collector.store.inserting import insert_new
from outlay_collector.store.schema import REPORTS, STEPS
from outlay_collector.store.writing import Written
from outlay_collector.tree import Spans

MOST_OF_A_TRACE: Final = 5_000
_BATCH: Final = 400


class StepStore:
    """What the steps' writer writes to."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def write(self, reports: Sequence[Step], received_at_ns: int) -> Written:
        """Store those that are new. Committed when it returns; safe to repeat."""
        del received_at_ns
        rows = {(step.trace_id, step.span_id): step for step in reports}
        with self._engine.begin() as connection:
            # In one order: two collectors cannot each wait for the other.
            found = insert_new(connection, STEPS, [_row(rows[key]) for key in sorted(rows)], STEPS.c.span_id)
        return Written(new=len(found), changed=0, repeated=len(reports) - len(found))


def steps_of(connection: Connection, trace_id: str) -> list[Step]:
    """The steps of a trace in the order they started, the first `MOST_OF_A_TRACE` of them."""
    wanted = select(STEPS).where(STEPS.c.trace_id == bytes.fromhex(trace_id))
    rows = connection.execute(wanted.order_by(STEPS.c.started_at_ns, STEPS.c.span_id).limit(MOST_OF_A_TRACE))
    return [
        Step(
            trace_id=trace_id,
            span_id=bytes(row.span_id).hex(),
            parent_span_id=None if row.parent_span_id is None else bytes(row.parent_span_id).hex(),
            kind=row.kind,
            name=row.name,
            started_at_ns=row.started_at_ns,
            ended_at_ns=row.ended_at_ns,
            failed=row.failed,
        )
        for row in rows
    ]


def spans_of(connection: Connection, trace_id: str) -> Spans:
    """The trace's spans that told of calls."""
    columns = (REPORTS.c.span_id, REPORTS.c.parent_span_id, REPORTS.c.call_id)
    rows = connection.execute(select(*columns).where(REPORTS.c.trace_id == trace_id)).all()
    of_call: defaultdict[int, list[str]] = defaultdict(list)
    for row in rows:
        of_call[row.call_id].append(row.span_id)
    return Spans(
        call_of={row.span_id: row.call_id for row in rows},
        parent_of={row.span_id: row.parent_span_id for row in rows},
        of_call=of_call,
    )


def prune_steps(engine: Engine, before_ns: int) -> Iterator[tuple[str, int]]:
    """Remove those that started before then; (table, rows) a batch."""
    old = STEPS.c.started_at_ns < before_ns
    while True:
        with reading(engine) as connection:
            keys = connection.execute(select(STEPS.c.trace_id, STEPS.c.span_id).where(old).limit(_BATCH)).all()
        if not keys:
            return
        these = tuple_(STEPS.c.trace_id, STEPS.c.span_id).in_([tuple(key) for key in keys])
        with engine.begin() as connection:
            removed = connection.execute(delete(STEPS).where(old, these)).rowcount
        yield str(STEPS.name), removed


def count_steps(connection: Connection, before_ns: int) -> int:
    """How many `prune_steps` would remove."""
    old = select(func.count()).select_from(STEPS).where(STEPS.c.started_at_ns < before_ns)
    return int(connection.scalar(old) or 0)


def _row(step: Step) -> dict[str, object]:
    return {
        "trace_id": bytes.fromhex(step.trace_id),
        "span_id": bytes.fromhex(step.span_id),
        "parent_span_id": None if step.parent_span_id is None else bytes.fromhex(step.parent_span_id),
        "kind": step.kind,
        "name": step.name,
        "started_at_ns": step.started_at_ns,
        "ended_at_ns": step.ended_at_ns,
        "failed": step.failed,
    }
