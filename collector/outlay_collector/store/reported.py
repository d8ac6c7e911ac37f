"""What the calls of a budget cost, as they were reported.

Where a budget counts USD by dimensions that rollups know, whole periods are read from them: a month of calls is not
summed up anew for a grant. All else is read from the calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from outlay.budgets.budget import TAG_PREFIX, TRACE, Budget, Scope
from outlay.budgets.period import Window
from sqlalchemy import ColumnElement, Connection, Label, and_, case, func, literal, or_, select

from outlay_collector.periods import to_ns
from outlay_collector.store.blocks import added_up, grouped
from outlay_collector.store.names import names_of
from outlay_collector.store.reading import listing_of, seek_by_key, wanted_ids
from outlay_collector.store.rolled import read_figures
from outlay_collector.store.rollups import (
    ALWAYS_KNOWN,
    DAY_NS,
    GROUPINGS,
    MEASURES,
    grouping_for,
    kind_of,
    minutes_of,
)
from outlay_collector.store.schema import CALLS
from outlay_collector.store.segments import Segment, of_calls, plan

_ROLLED_UP: Final = frozenset({"service", "environment", "provider", "operation", "feature", "tenant", "user"})
"""Not the model: rollups know the one that answered, budgets the one asked for."""
_FOREVER: Final = 2**63 - 1
_COST: Final = MEASURES.index("cost_nano_usd")


def reported(
    connection: Connection, budget: Budget, window: Window, now_ns: int, scope: Scope | None
) -> Iterator[tuple[Scope, int]]:
    """What the calls of the window cost, by scope; a scope may come several times."""
    start, end = bounds(window)
    segments = _segments(connection, budget, start, end, now_ns)
    for segment in segments:
        if segment.length_ns is None:
            yield from _sums(connection, budget, segment, scope)
    yield from _rolled(connection, budget, [segment for segment in segments if segment.length_ns is not None], scope)


def covered(budget: Budget, window: Window) -> list[ColumnElement[bool]]:
    """Calls that reached a provider, in the window, matched, and of a known amount."""
    start, end = bounds(window)
    within: list[ColumnElement[bool]] = [CALLS.c.started_at_ns >= start]
    if end is not None:
        within.append(CALLS.c.started_at_ns < end)
    return [*within, *_counted(budget)]


def bounds(window: Window) -> tuple[int, int | None]:
    return to_ns(window.start), None if window.end is None else to_ns(window.end)


def per_columns(budget: Budget) -> list[Label[Any]]:
    """The scope's columns, under names to group by: an expression with a parameter is not equal to itself repeated."""
    return [dimension_column(dimension).label(f"per_{index}") for index, dimension in enumerate(budget.per)]


def dimension_column(dimension: str) -> ColumnElement[Any]:
    """Where a call's value of a budget's dimension stands. The model is the one asked for, as the process saw it."""
    if dimension.startswith(TAG_PREFIX):
        tag: ColumnElement[Any] = CALLS.c.tags[dimension.removeprefix(TAG_PREFIX)].as_string()
        return tag
    if dimension == TRACE:
        return case((CALLS.c.parent_span_id.is_not(None), CALLS.c.trace_id))
    if dimension == "model":
        return func.coalesce(CALLS.c.model_requested, CALLS.c.model)
    return CALLS.c[dimension]


def reached_a_provider() -> ColumnElement[bool]:
    return or_(CALLS.c.response_cache.is_(None), CALLS.c.response_cache != "hit")


def _segments(connection: Connection, budget: Budget, start: int, end: int | None, now_ns: int) -> list[Segment]:
    """The parts of the window, each read from one table. A window without end has one part more: what calls say that
    began after tomorrow, by a clock that is ahead."""
    tomorrow = now_ns - now_ns % DAY_NS + 2 * DAY_NS
    stop = tomorrow if end is None else end
    rest = [] if end is not None else of_calls([(0, stop, _FOREVER)])
    buckets = [(0, start, stop)]
    grouping = _grouping(budget)
    if grouping is None:
        return [*of_calls(buckets), *rest]
    return [*plan(buckets, kind_of(grouping), minutes_of(grouping), listing_of(connection)), *rest]


def _sums(connection: Connection, budget: Budget, segment: Segment, scope: Scope | None) -> Iterator[tuple[Scope, int]]:
    """Of a segment that is read from its calls."""
    per, at = per_columns(budget), CALLS.c.started_at_ns
    conditions = [at >= segment.start_ns, at < segment.end_ns, *_counted(budget)]
    for index, label in enumerate(per):
        conditions.append(label.element != "" if scope is None else label.element == scope[index])
    names = [label.name for label in per]
    found = connection.execute(select(*per, func.sum(_amount(budget))).where(and_(*conditions)).group_by(*names))
    for *named, amount in found:
        if amount is not None:  # a sum over no rows at all
            yield tuple(named), int(amount)


def _rolled(
    connection: Connection, budget: Budget, segments: Sequence[Segment], scope: Scope | None
) -> Iterator[tuple[Scope, int]]:
    """Of segments that are read from rollups. An answer of the response cache cost nothing: no need to leave it out."""
    grouping = _grouping(budget)
    said = {name: sorted(value for value in values if value) for name, values in budget.match.items()}
    for name, value in zip(budget.per, scope or (), strict=False):
        said[name] = [value] if value in said.get(name, [value]) else []
    wanted = wanted_ids(connection, said) if segments else None
    if grouping is None or wanted is None:
        return
    seek_by_key(connection)
    rolled = read_figures(connection, grouping, segments, wanted)
    if rolled is None:
        return
    ids = [rolled.figures.ids[GROUPINGS[grouping].index(dimension)] for dimension in budget.per]
    groups, values = grouped(ids, len(rolled.figures))
    sums = added_up(rolled.figures, groups, values, len(values[0]) if values else 1)
    names = names_of(connection, {id_ for column in values for id_ in column.tolist()})
    costs, known = sums.measures[_COST].tolist(), sums.known[_COST - ALWAYS_KNOWN].tolist()
    for place, (cost, is_known) in enumerate(zip(costs, known, strict=True)):
        named = tuple(names[int(column[place])] or "" for column in values)
        if is_known and all(named):
            yield named, cost


def _grouping(budget: Budget) -> int | None:
    """That of the rollups that can tell; None where only calls can."""
    if budget.limit.unit != "usd" or not {*budget.per, *budget.match} <= _ROLLED_UP:
        return None
    return grouping_for({*budget.per, *budget.match})


def _counted(budget: Budget) -> list[ColumnElement[bool]]:
    return [
        reached_a_provider(),
        _amount(budget).is_not(None),
        *(dimension_column(dimension).in_(sorted(values)) for dimension, values in budget.match.items()),
    ]


def _amount(budget: Budget) -> ColumnElement[Any]:
    if budget.limit.unit == "usd":
        return CALLS.c.cost_nano_usd
    if budget.limit.unit == "calls":
        return literal(1)
    known = or_(CALLS.c.input_tokens.is_not(None), CALLS.c.output_tokens.is_not(None))
    return case((known, func.coalesce(CALLS.c.input_tokens, 0) + func.coalesce(CALLS.c.output_tokens, 0)))
