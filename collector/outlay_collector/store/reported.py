"""What the calls of a budget cost, as they were reported.

Where a budget counts USD by dimensions that rollups know, whole periods are read from them: a month of calls is not
summed up anew for a grant. All else is read from the calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from outlay.budgets.budget import TAG_PREFIX, TRACE, Budget, Scope
from outlay.budgets.period import Window
from sqlalchemy import ColumnElement, Connection, Label, Table, and_, case, func, literal, or_, select

from outlay_collector.periods import to_ns
from outlay_collector.store.reading import listing_of
from outlay_collector.store.rollups import DAY_NS, ROLLUPS, grouping_for, kind_of, minutes_of
from outlay_collector.store.schema import CALLS
from outlay_collector.store.segments import Segment, of_calls, plan

_ROLLED_UP: Final = frozenset({"service", "environment", "provider", "operation", "feature", "tenant", "user"})
"""Not the model: rollups know the one that answered, budgets the one asked for."""
_FOREVER: Final = 2**63 - 1


def reported(
    connection: Connection, budget: Budget, window: Window, now_ns: int, scope: Scope | None
) -> Iterator[tuple[Scope, int]]:
    """What the calls of the window cost, by scope; a scope may come several times."""
    start, end = bounds(window)
    for segment in _segments(connection, budget, start, end, now_ns):
        table = CALLS if segment.length_ns is None else ROLLUPS
        yield from _sums(connection, budget, segment, table, scope)


def covered(budget: Budget, window: Window) -> list[ColumnElement[bool]]:
    """Calls that reached a provider, in the window, matched, and of a known amount."""
    start, end = bounds(window)
    within: list[ColumnElement[bool]] = [CALLS.c.started_at_ns >= start]
    if end is not None:
        within.append(CALLS.c.started_at_ns < end)
    return [*within, *_counted(budget, CALLS)]


def bounds(window: Window) -> tuple[int, int | None]:
    return to_ns(window.start), None if window.end is None else to_ns(window.end)


def per_columns(budget: Budget, table: Table = CALLS) -> list[Label[Any]]:
    """The scope's columns, under names to group by: an expression with a parameter is not equal to itself repeated."""
    return [dimension_column(dimension, table).label(f"per_{index}") for index, dimension in enumerate(budget.per)]


def dimension_column(dimension: str, table: Table = CALLS) -> ColumnElement[Any]:
    """Where a call's value of a budget's dimension stands. The model is the one asked for, as the process saw it."""
    if dimension.startswith(TAG_PREFIX):
        tag: ColumnElement[Any] = table.c.tags[dimension.removeprefix(TAG_PREFIX)].as_string()
        return tag
    if dimension == TRACE:
        return case((CALLS.c.parent_span_id.is_not(None), CALLS.c.trace_id))
    if dimension == "model":
        return func.coalesce(CALLS.c.model_requested, CALLS.c.model)
    return table.c[dimension]


def reached_a_provider() -> ColumnElement[bool]:
    return or_(CALLS.c.response_cache.is_(None), CALLS.c.response_cache != "hit")


def _segments(connection: Connection, budget: Budget, start: int, end: int | None, now_ns: int) -> list[Segment]:
    """The parts of the window, each read from one table. A window without end has one part more: what calls say that
    began after tomorrow, by a clock that is ahead."""
    tomorrow = now_ns - now_ns % DAY_NS + 2 * DAY_NS
    stop = tomorrow if end is None else end
    rest = [] if end is not None else of_calls([(0, stop, _FOREVER)])
    buckets = [(0, start, stop)]
    if budget.limit.unit != "usd" or not {*budget.per, *budget.match} <= _ROLLED_UP:
        return [*of_calls(buckets), *rest]
    grouping = grouping_for({*budget.per, *budget.match})
    if grouping is None:
        return [*of_calls(buckets), *rest]
    return [*plan(buckets, kind_of(grouping), minutes_of(grouping), listing_of(connection)), *rest]


def _sums(
    connection: Connection, budget: Budget, segment: Segment, table: Table, scope: Scope | None
) -> Iterator[tuple[Scope, int]]:
    per, at = per_columns(budget, table), CALLS.c.started_at_ns if table is CALLS else ROLLUPS.c.start_ns
    conditions = [at >= segment.start_ns, at < segment.end_ns, *_counted(budget, table)]
    if table is ROLLUPS:
        grouping = grouping_for({*budget.per, *budget.match})
        conditions += [ROLLUPS.c.length_ns == segment.length_ns, ROLLUPS.c.grouping == grouping]
    for index, label in enumerate(per):
        conditions.append(label.element != "" if scope is None else label.element == scope[index])
    names = [label.name for label in per]
    found = connection.execute(select(*per, func.sum(_amount(budget, table))).where(and_(*conditions)).group_by(*names))
    for *named, amount in found:
        if amount is not None:  # a sum over no rows at all
            yield tuple(named), int(amount)


def _counted(budget: Budget, table: Table) -> list[ColumnElement[bool]]:
    """An answer of the response cache cost nothing, so that a sum of money need not leave it out."""
    counts: list[ColumnElement[bool]] = [
        _amount(budget, table).is_not(None),
        *(dimension_column(dimension, table).in_(sorted(values)) for dimension, values in budget.match.items()),
    ]
    return [reached_a_provider(), *counts] if table is CALLS else counts


def _amount(budget: Budget, table: Table) -> ColumnElement[Any]:
    if budget.limit.unit == "usd":
        return table.c.cost_nano_usd
    if budget.limit.unit == "calls":
        return literal(1)
    known = or_(CALLS.c.input_tokens.is_not(None), CALLS.c.output_tokens.is_not(None))
    return case((known, func.coalesce(CALLS.c.input_tokens, 0) + func.coalesce(CALLS.c.output_tokens, 0)))
