"""What the calls of a budget cost, as they were reported.

Where a budget counts USD by dimensions that rollups know, whole periods are read from them: a month of calls is not
summed up anew for a grant. All else is read from the calls.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, NamedTuple

from outlay.budgets.budget import TAG_PREFIX, TRACE, Budget, Scope, Unit
from outlay.budgets.period import Window
from sqlalchemy import ColumnElement, Connection, Label, Select, bindparam, case, func, literal, or_

from outlay_collector.periods import to_ns
from outlay_collector.store.blocks import grouped, summed
from outlay_collector.store.grains import DAY_NS
from outlay_collector.store.names import names_of
from outlay_collector.store.planning import planned
from outlay_collector.store.reading import seek_by_key, wanted_ids
from outlay_collector.store.rolled import Wanted, read_ranked
from outlay_collector.store.rollups import GROUPINGS, MEASURES, grouping_for
from outlay_collector.store.schema import CALLS
from outlay_collector.store.segments import Segment, of_calls
from outlay_collector.store.within import Shape, places_of, select_within, shape_of

_ROLLED_UP: Final = frozenset({"service", "environment", "provider", "operation", "feature", "tenant", "user"})
"""Not the model: rollups know the one that answered, budgets the one asked for."""
_SHAPES: Final = 64
_FOREVER: Final = 2**63 - 1
_COST: Final = MEASURES.index("cost_nano_usd")
_Amount = tuple[int, Scope, int]
"""The place of a window, a scope and what its calls cost from that window's start to the next one's."""


def reported(
    connection: Connection, budget: Budget, windows: Sequence[Window], now_ns: int, scope: Scope | None
) -> list[dict[Scope, int]]:
    """What the calls of each window cost, by scope. Windows must end alike, the longest first: each is the end of the
    one before, so that nothing is read twice."""
    starts, end = [bounds(window)[0] for window in windows], bounds(windows[0])[1]
    wanted = _wanted(connection, budget, scope)
    segments = _segments(connection, budget, starts, end, now_ns, wanted)
    seek_by_key(connection)
    found: list[defaultdict[Scope, int]] = [defaultdict(int) for _ in windows]
    rolled = [segment for segment in segments if segment.grain]
    calls = [segment for segment in segments if not segment.grain]
    for some in (_sums(connection, budget, calls, scope), _rolled(connection, budget, rolled, wanted)):
        for bucket, each, amount in some:
            for window in found[: bucket + 1]:
                window[each] += amount
    return [dict(window) for window in found]


class Counted(NamedTuple):
    """What of a budget its statements depend on: they are made once."""

    unit: Unit
    per: tuple[str, ...]
    match: tuple[tuple[str, tuple[str, ...]], ...]


def counted_by(budget: Budget) -> Counted:
    match = ((dimension, tuple(sorted(values))) for dimension, values in budget.match.items())
    return Counted(budget.limit.unit, budget.per, tuple(match))


def covered(counted: Counted, ends: bool) -> list[ColumnElement[bool]]:
    """Calls that reached a provider, in the window from `start` to, if it ends, `end`, matched, and of a known
    amount."""
    within: list[ColumnElement[bool]] = [CALLS.c.started_at_ns >= bindparam("start")]
    if ends:
        within.append(CALLS.c.started_at_ns < bindparam("end"))
    return [*within, *_conditions(counted)]


def bounds(window: Window) -> tuple[int, int | None]:
    return to_ns(window.start), None if window.end is None else to_ns(window.end)


def per_columns(per: Sequence[str]) -> list[Label[Any]]:
    """The scope's columns, under names to group by: an expression with a parameter is not equal to itself repeated."""
    return [dimension_column(dimension).label(f"per_{index}") for index, dimension in enumerate(per)]


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


def _segments(
    connection: Connection,
    budget: Budget,
    starts: Sequence[int],
    end: int | None,
    now_ns: int,
    wanted: Wanted | None,
) -> list[Segment]:
    """From each start to the next and from the last to the end, each read from one table. A window without end has one
    part more: what calls say that began after tomorrow, by a clock that is ahead."""
    tomorrow = now_ns - now_ns % DAY_NS + 2 * DAY_NS
    stop = tomorrow if end is None else end
    last = len(starts) - 1
    rest = [] if end is not None else of_calls([(last, stop, _FOREVER)])
    buckets = [(n, *part) for n, part in enumerate(pairwise([*starts, stop])) if part[0] < part[1]]
    grouping = _grouping(budget)
    if grouping is None:
        return [*of_calls(buckets), *rest]
    return [*planned(connection, buckets, grouping, wanted, now_ns), *rest]


def _wanted(connection: Connection, budget: Budget, scope: Scope | None) -> Wanted | None:
    """The ids of the names that count; None where no rollup can have them."""
    if _grouping(budget) is None:
        return None
    said = {name: list(values) for name, values in budget.match.items()}
    for name, value in zip(budget.per, scope or (), strict=False):
        said[name] = [value] if value in said.get(name, [value]) else []
    return wanted_ids(connection, said)


def _sums(
    connection: Connection, budget: Budget, segments: Sequence[Segment], scope: Scope | None
) -> Iterator[_Amount]:
    """Of segments that are read from their calls."""
    if not segments:
        return
    sums = _sums_of(shape_of(connection, segments), counted_by(budget), scope is not None)
    of = {f"scope_{index}": value for index, value in enumerate(scope or ())}
    for bucket, *named, amount in connection.execute(sums, places_of(segments) | of):
        yield bucket, tuple(named), int(amount)


@lru_cache(_SHAPES)
def _sums_of(shape: Shape, counted: Counted, one_scope: bool) -> Select[Any]:
    """By the scope's dimensions; `one_scope`: of that alone."""
    per = per_columns(counted.per)
    conditions = _conditions(counted)
    for index, label in enumerate(per):
        conditions.append(label.element == bindparam(f"scope_{index}") if one_scope else label.element != "")
    sums = select_within(shape, [*per, func.sum(_amount(counted.unit))], conditions)
    return sums.group_by("bucket", *(label.name for label in per))


def _rolled(
    connection: Connection, budget: Budget, segments: Sequence[Segment], wanted: Wanted | None
) -> Iterator[_Amount]:
    """Of segments that are read from rollups. An answer of the response cache cost nothing: no need to leave it out."""
    grouping = _grouping(budget)
    if grouping is None or wanted is None or not segments:
        return
    rolled = read_ranked(connection, grouping, segments, wanted)
    if rolled is None:
        return
    known = rolled.known(_COST)
    ids = [rolled.ids(GROUPINGS[grouping].index(dimension))[known] for dimension in budget.per]
    groups, (buckets, *values) = grouped([rolled.buckets[known], *ids], int(known.sum()))
    costs = summed(groups, rolled.measure(_COST)[known], len(buckets)).tolist()
    names = names_of(connection, {id_ for column in values for id_ in column.tolist()})
    for place, (bucket, cost) in enumerate(zip(buckets.tolist(), costs, strict=True)):
        named = tuple(names[int(column[place])] or "" for column in values)
        if all(named):
            yield bucket, named, cost


def _grouping(budget: Budget) -> int | None:
    """That of the rollups that can tell; None where only calls can."""
    if budget.limit.unit != "usd" or not {*budget.per, *budget.match} <= _ROLLED_UP:
        return None
    return grouping_for({*budget.per, *budget.match})


def _conditions(counted: Counted) -> list[ColumnElement[bool]]:
    return [
        reached_a_provider(),
        _amount(counted.unit).is_not(None),
        *(dimension_column(dimension).in_(values) for dimension, values in counted.match),
    ]


def _amount(unit: Unit) -> ColumnElement[Any]:
    if unit == "usd":
        return CALLS.c.cost_nano_usd
    if unit == "calls":
        return literal(1)
    known = or_(CALLS.c.input_tokens.is_not(None), CALLS.c.output_tokens.is_not(None))
    return case((known, func.coalesce(CALLS.c.input_tokens, 0) + func.coalesce(CALLS.c.output_tokens, 0)))
