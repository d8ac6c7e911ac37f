"""Writes reports so that each call stands once, whatever was written before and in whatever order.

Which reports are one call is `grouping`'s to find out, and what a call says `billing`'s; here it becomes rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, update

from outlay_collector.billing import TO_BE_PRICED, Report, merge
from outlay_collector.paths import SpanKey
from outlay_collector.store.engine import json_text
from outlay_collector.store.grouping import Grouping
from outlay_collector.store.groups import Group
from outlay_collector.store.ids import take_ids
from outlay_collector.store.inserting import insert_rows
from outlay_collector.store.marking import mark_stale
from outlay_collector.store.neighbours import Neighbours
from outlay_collector.store.rows import COLUMNS, columns_of, row_of
from outlay_collector.store.schema import CALLS, REPORTS
from outlay_collector.store.turns import hold_calls

Price = Callable[[Report], Report]
"""Gives a report without a cost the cost the price book says."""

_ROW: Final = ("id", *COLUMNS)
_BILL_KEY: Final = _ROW.index("bill_key")
_REPORT_COLUMNS: Final = tuple(column.name for column in REPORTS.columns)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the reports: calls that are new, calls that changed, and reports that were known already. `seen`
    are the stored reports that were looked at for it."""

    new: int
    changed: int
    repeated: int
    seen: Collection[SpanKey] = field(default=(), compare=False, repr=False)


def write_reports(
    connection: Connection, reports: Sequence[Report], received_at_ns: int, price: Price | None = None
) -> Written:
    """Store what is new in `reports`, in the caller's transaction. Writing the same reports again changes nothing.
    Without `price` a call that one report counts and another names the provider of stays unpriced. Raises as
    `hold_calls` does."""
    neighbours = Neighbours(connection, reports)
    fresh = {key: report for report in reports if (key := (report.trace_id, report.span_id)) not in neighbours.calls}
    grouping = Grouping(connection, fresh, neighbours, received_at_ns)
    groups = grouping.groups()
    inserts = [group for group in groups if not group.call_ids]
    changes = [group for group in groups if group.call_ids]
    changed = {call_id for group in changes for call_id in group.call_ids}
    hold_calls(connection, {call_id: grouping.rows[call_id] for call_id in changed})
    first_changed = min(changed, default=None)
    mark_stale(connection, {report.call.started_at_ns for group in groups for report in group.members}, first_changed)
    new = list(zip(take_ids(connection, "calls", len(inserts)), inserts, strict=True))
    keys = grouping.bill_keys(groups)
    calls = (_call_row(call_id, group, keys[group], received_at_ns, price) for call_id, group in new)
    insert_rows(connection, "calls", _ROW, calls)
    stored = [*new, *((_change(connection, group, keys[group], received_at_ns, price), group) for group in changes)]
    rows = (row for call_id, group in stored for row in _report_rows(call_id, group, received_at_ns))
    insert_rows(connection, "reports", _REPORT_COLUMNS, rows)
    return Written(len(inserts), len(changes), len(reports) - len(fresh), grouping.seen)


def rows_of(report: Report, call_id: int, received_at_ns: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The rows of `calls`, its id first, and of `reports` that one report alone is stored as."""
    group = Group.of_one(report)
    (report_row,) = _report_rows(call_id, group, received_at_ns)
    return _call_row(call_id, group, report.bill_key, received_at_ns, None), report_row


def _change(connection: Connection, group: Group, bill_key: str, received_at_ns: int, price: Price | None) -> int:
    """Rewrite a stored call by what all its reports say; calls that turn out to be the same become one. Its id."""
    kept, *others = sorted(group.call_ids)
    columns = columns_of(_merged(group, price), received_at_ns)
    columns["bill_key"] = bill_key
    del columns["received_at_ns"]
    if others:
        connection.execute(update(REPORTS).where(REPORTS.c.call_id.in_(others)).values(call_id=kept))
        connection.execute(delete(CALLS).where(CALLS.c.id.in_(others)))
    connection.execute(update(CALLS).where(CALLS.c.id == kept).values(**columns))
    fresh = {id(report) for report in group.fresh}
    bodies = [
        {"of_trace": r.trace_id, "of_span": r.span_id, "said": _body(r)} for r in group.members if id(r) not in fresh
    ]
    this = (REPORTS.c.trace_id == bindparam("of_trace")) & (REPORTS.c.span_id == bindparam("of_span"))
    connection.execute(update(REPORTS).where(this).values(body=bindparam("said")), bodies)
    return kept


def _merged(group: Group, price: Price | None) -> Report:
    """What all reports of a call say together."""
    merged = merge(group.members)
    return price(merged) if price and merged.call.cost is TO_BE_PRICED else merged


def _call_row(call_id: int, group: Group, bill_key: str, received_at_ns: int, price: Price | None) -> tuple[Any, ...]:
    row = row_of(call_id, _merged(group, price), received_at_ns)
    return row if row[_BILL_KEY] == bill_key else (*row[:_BILL_KEY], bill_key, *row[_BILL_KEY + 1 :])


def _report_rows(call_id: int, group: Group, received_at_ns: int) -> Iterator[tuple[Any, ...]]:
    alone = len(group.members) == 1
    for r in group.fresh:
        body = None if alone else json_text(_body(r))
        yield (
            r.trace_id, r.span_id, r.parent_span_id, call_id, r.dialect, r.scope, int(r.source), body, received_at_ns,
        )  # fmt: skip


def _body(report: Report) -> dict[str, Any]:
    return {name: value for name, value in columns_of(report, 0).items() if value is not None}
