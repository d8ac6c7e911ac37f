"""Single calls: the latest, one with its reports, those of a trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, func, literal_column, or_, select, text

from outlay_collector.store.dimensions import Asked, asked_by, matches, values_of
from outlay_collector.store.grains import QUARTER_NS
from outlay_collector.store.narrowing import Counted, is_of_failed, newest_ranges
from outlay_collector.store.query import CallsQuery, StoredCall, StoredReport
from outlay_collector.store.schema import CALLS, REPORTS
from outlay_collector.store.segments import Range, Segment
from outlay_collector.store.within import Shape, places_of, select_within, shape_of

_SHAPES: Final = 64
_FEW: Final = 100
"""So many calls of a part are not left before its end: one way or the other it is looked through."""
_FOUND_BY_INDEX: Final = frozenset({"user", "tenant"})
"""Of these only the wanted calls are read themselves, not all that are looked through."""
_SLICE_NS: Final = QUARTER_NS // 60
_GROWS: Final = 4


def read_calls(connection: Connection, query: CallsQuery) -> list[StoredCall]:
    """The latest calls first; calls of one instant, the last to arrive first."""
    if not query.filters:
        return _listed(connection, query, None, query.limit)
    first = first_call_at_ns(connection)
    last = connection.execute(select(func.max(CALLS.c.started_at_ns))).scalar()  # together, all of the index is read
    if first is None or last is None:
        return []
    end_ns = last + 1 if query.to_ns is None else query.to_ns
    from_ns, to_ns = max(first, query.from_ns or 0), min(end_ns, last + 1, (query.before or (last, 0))[0] + 1)
    found: list[StoredCall] = []
    for parts in newest_ranges(connection, query, from_ns, to_ns) if from_ns < to_ns else ():
        found += _in_parts(connection, query, parts, query.limit - len(found))
        if len(found) == query.limit:
            break
    return found


def _in_parts(connection: Connection, query: CallsQuery, parts: Sequence[Counted], limit: int) -> list[StoredCall]:
    """Of the parts, the latest first, until there are enough: at once of those that have a few each, and of every other
    by itself, which is left as soon as there are enough."""
    found: list[StoredCall] = []
    while parts and len(found) < limit:
        few = _few(parts, limit - len(found), query.before)
        if few:
            read = _each if connection.dialect.name == "sqlite" else _together
            found += read(connection, query, parts[:few], limit - len(found))
        else:
            found += _in_slices(connection, query, parts[0], limit - len(found))
        parts = parts[few or 1 :]
    return found


def _in_slices(connection: Connection, query: CallsQuery, part: Counted, limit: int) -> list[StoredCall]:
    """Of a part whose calls are all to be looked at, slice by slice from its end, until there are enough. Each slice is
    read in the order of time: backwards nothing is read ahead, and from a disk the 6 MB of a quarter take 100 ms."""
    start, end, _ = part
    if end - start > QUARTER_NS or query.filters.keys() & _FOUND_BY_INDEX or is_of_failed(query.filters):
        return _listed(connection, query, (start, end), limit)
    found: list[StoredCall] = []
    for first, last in _slices(start, end):
        if len(found) == limit:
            break
        if query.before is not None and query.before[0] < last:
            found += _listed(connection, query, (first, last), limit - len(found))
        else:
            found += _together(connection, query, [(first, last, None)], limit - len(found))
    return found


def _slices(start: int, end: int) -> Iterator[Range]:
    """From the last to the first, each longer than the one before."""
    length = _SLICE_NS
    while start < end:
        yield max(start, end - length), end
        end, length = end - length, length * _GROWS


def _few(parts: Sequence[Counted], limit: int, before: tuple[int, int] | None) -> int:
    """How many of the parts, from the first, it takes for so many calls; none after one that has more than a few."""
    known = 0
    for place, (_, end, calls) in enumerate(parts):
        if known >= limit or calls is None or calls > _FEW or (before is not None and before[0] < end):
            return place
        known += calls
    return len(parts)


def _together(connection: Connection, query: CallsQuery, parts: Sequence[Counted], limit: int) -> list[StoredCall]:
    segments = [Segment(0, None, start, end) for start, end, _ in parts]
    statement = _newest_of_parts(shape_of(connection, segments), asked_by(query.filters), is_of_failed(query.filters))
    values = {**values_of(query.filters), **places_of(segments), "most": limit}
    calls = [row._asdict() for row in connection.execute(statement, values)]
    return [{name: call[name] for name in call if name != "bucket"} for call in calls]


def _each(connection: Connection, query: CallsQuery, parts: Sequence[Counted], limit: int) -> list[StoredCall]:
    """The same, part by part: a statement costs SQLite little, and each is left at the last call there can be."""
    statement, values = _any_within(asked_by(query.filters), is_of_failed(query.filters)), values_of(query.filters)
    rows: list[StoredCall] = [
        row._asdict()
        for start, end, calls in parts
        for row in connection.execute(statement, {**values, "start": start, "end": end, "most": calls})
    ]
    return sorted(rows, key=lambda call: (call["started_at_ns"], call["id"]), reverse=True)[:limit]


def _listed(connection: Connection, query: CallsQuery, within: Range | None, limit: int) -> list[StoredCall]:
    """Within that range, the latest first."""
    values, before = {**values_of(query.filters), "most": limit}, query.before
    anywhere, in_range = _newest(asked_by(query.filters), is_of_failed(query.filters))
    start, end = (query.from_ns, query.to_ns) if within is None else within
    if start is None or end is None or (before is not None and before[0] < end):
        rows = connection.execute(anywhere.where(*_within(query, start, end)), values)
    else:
        rows = connection.execute(in_range, {"start": start, "end": end, **values})
    return [row._asdict() for row in rows]


@lru_cache(_SHAPES)
def _newest(asked: Asked, failed: bool) -> tuple[Select[Any], Select[Any]]:
    """As one statement for all that ask for the same, which SQLAlchemy takes as long to write down as the database to
    answer; and the same within a range."""
    wanted = select(CALLS).where(*_conditions(asked, failed))
    some = wanted.order_by(CALLS.c.started_at_ns.desc(), CALLS.c.id.desc()).limit(bindparam("most"))
    return some, some.where(CALLS.c.started_at_ns >= bindparam("start"), CALLS.c.started_at_ns < bindparam("end"))


@lru_cache(_SHAPES)
def _any_within(asked: Asked, failed: bool) -> Select[Any]:
    at = CALLS.c.started_at_ns
    within = select(CALLS).where(*_conditions(asked, failed), at >= bindparam("start"), at < bindparam("end"))
    return within.limit(bindparam("most"))


@lru_cache(_SHAPES)
def _newest_of_parts(shape: Shape, asked: Asked, failed: bool) -> Select[Any]:
    """Within some parts, each read in the order of time, as it was written: what is read ahead is what comes next."""
    some = select_within(shape, list(CALLS.columns), _conditions(asked, failed))
    return some.order_by(text("started_at_ns DESC, id DESC")).limit(bindparam("most"))


def _conditions(asked: Asked, failed: bool) -> list[ColumnElement[bool]]:
    """`failed`: only such calls, in so many words, as their index has it."""
    return [matches(CALLS, asked), *([CALLS.c.status == literal_column("'error'")] if failed else [])]


def _within(query: CallsQuery, start: int | None, end: int | None) -> list[ColumnElement[bool]]:
    """One bound on each side: of two on one side SQLite seeks by either, and reads all that is between them."""
    at, before = CALLS.c.started_at_ns, query.before
    conditions = [] if start is None else [at >= start]
    if before is None or (end is not None and end <= before[0]):
        return conditions if end is None else [*conditions, at < end]
    earlier = and_(at == before[0], CALLS.c.id < before[1])
    return [*conditions, at <= before[0], or_(at < before[0], earlier)]


def read_call(connection: Connection, call_id: int) -> tuple[StoredCall, list[StoredReport]] | None:
    """One call and its reports, the best source first; None where there is none of that id."""
    row = connection.execute(select(CALLS).where(CALLS.c.id == call_id)).one_or_none()
    if row is None:
        return None
    reports = select(REPORTS).where(REPORTS.c.call_id == call_id).order_by(REPORTS.c.rank, REPORTS.c.span_id)
    return row._asdict(), [report._asdict() for report in connection.execute(reports)]


def read_trace(connection: Connection, trace_id: str) -> list[StoredCall]:
    """The calls any span of the trace reported, in the order they started."""
    reported = select(REPORTS.c.call_id).where(REPORTS.c.trace_id == trace_id)
    statement = select(CALLS).where(CALLS.c.id.in_(reported)).order_by(CALLS.c.started_at_ns, CALLS.c.id)
    return [row._asdict() for row in connection.execute(statement)]


def first_call_at_ns(connection: Connection) -> int | None:
    return connection.execute(select(func.min(CALLS.c.started_at_ns))).scalar()
