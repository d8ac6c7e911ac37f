"""Removes rows that are older than they are kept, a batch a transaction.

What to remove is looked for without a lock and removed by its key, under the same condition once more, so that a
writer waits for one batch at most. Everything here may be cut at any point and run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from secrets import randbits
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, Select, Table, and_, delete, exists, func, select, update

from outlay_collector.store.alert_tables import ALERTS, DELIVERIES, SILENCES, TRANSITIONS
from outlay_collector.store.budgets import LEASES, SETTLEMENTS
from outlay_collector.store.closing import close_day, finish_day
from outlay_collector.store.contents import CONTENTS
from outlay_collector.store.engine import reading
from outlay_collector.store.grains import DAY_NS, GRAINS, LENGTHS_NS, WEEK_NS
from outlay_collector.store.limits import LIMITS, forget_limits
from outlay_collector.store.marking import hold_periods
from outlay_collector.store.refusals import REFUSALS
from outlay_collector.store.rollups import PERIODS, ROLLUPS
from outlay_collector.store.schema import CALLS, REPORTS, STEPS
from outlay_collector.store.steps import count_steps, prune_steps
from outlay_collector.store.summing import REMOVE, begun

BATCH: Final = 1_000


def _old_settlements(before_ns: int) -> ColumnElement[bool]:
    return SETTLEMENTS.c.at_ns < before_ns


def _old_leases(before_ns: int) -> ColumnElement[bool]:
    """Those whose settlements are old too, and so removed before them."""
    in_use = exists().where(SETTLEMENTS.c.lease == LEASES.c.id, SETTLEMENTS.c.at_ns >= before_ns)
    return and_(LEASES.c.expires_at_ns < before_ns, ~in_use)


def _old_refusals(before_ns: int) -> ColumnElement[bool]:
    return REFUSALS.c.at_ns < before_ns


def _old_transitions(before_ns: int) -> ColumnElement[bool]:
    """Not the one that an alert stands on, nor one that somebody is still to be told of."""
    same = and_(ALERTS.c.rule == TRANSITIONS.c.rule, ALERTS.c.group_key == TRANSITIONS.c.group_key)
    current = exists().where(same, ALERTS.c.since_at_ns == TRANSITIONS.c.at_ns)
    pending = exists().where(DELIVERIES.c.transition_id == TRANSITIONS.c.id, DELIVERIES.c.status == "pending")
    return and_(TRANSITIONS.c.at_ns < before_ns, ~current, ~pending)


def _old_silences(before_ns: int) -> ColumnElement[bool]:
    return SILENCES.c.ends_at_ns < before_ns


_EVENTS: Final[tuple[tuple[Table, Callable[[int], ColumnElement[bool]]], ...]] = (
    (SETTLEMENTS, _old_settlements),
    (LEASES, _old_leases),
    (REFUSALS, _old_refusals),
    (TRANSITIONS, _old_transitions),
    (SILENCES, _old_silences),
)
"""What is kept as long as spans are, in the order it can be removed in."""


def prune_spans(engine: Engine, before_ns: int) -> Iterator[tuple[str, int]]:
    """Remove the reports of calls that were last reported before then, then the events; (table, rows) a batch."""
    after = 0
    while True:
        with reading(engine) as connection:
            page = connection.execute(_reported(after).limit(BATCH)).all()
        old = [row.id for row in page if row.started < before_ns and row.last < before_ns]
        if old:
            with engine.begin() as connection:
                removed = connection.execute(delete(REPORTS).where(REPORTS.c.call_id.in_(old))).rowcount
            yield str(REPORTS.name), removed
        # Calls are numbered as they arrive: after one that only arrived since, none is old.
        if len(page) < BATCH or page[-1].first >= before_ns:
            break
        after = page[-1].id
    yield from prune_steps(engine, before_ns)
    for table, is_old in _EVENTS:
        yield from _remove(engine, table, is_old(before_ns))
    with engine.begin() as connection:
        if removed := forget_limits(connection, before_ns):
            yield str(LIMITS.name), removed


def prune_contents(engine: Engine, before_ns: int) -> Iterator[tuple[str, int]]:
    """Remove prompts and answers that came before then."""
    return _remove(engine, CONTENTS, CONTENTS.c.at_ns < before_ns)


def prune_calls(engine: Engine, before_ns: int) -> Iterator[tuple[str, int]]:
    """Remove the calls of whole days (UTC) that ended before then, once their sums are final."""
    while (day_ns := _first_day(engine)) is not None and day_ns + DAY_NS <= before_ns:
        finish_day(engine, day_ns)
        with engine.begin() as connection:
            close_day(connection, day_ns)
        yield from _remove(engine, CALLS, CALLS.c.started_at_ns.between(day_ns, day_ns + DAY_NS - 1))


def prune_rollups(engine: Engine, before_ns: int) -> Iterator[tuple[str, int]]:
    """Remove the sums of whole weeks that ended before then, a day a transaction, where its calls are gone. The days
    stay listed, so that what comes late for them is still let go."""
    before_ns -= before_ns % WEEK_NS
    closed = and_(PERIODS.c.length_ns == DAY_NS, PERIODS.c.closed, PERIODS.c.kept != 0, PERIODS.c.start_ns < before_ns)
    with reading(engine) as connection:
        days = connection.execute(select(PERIODS.c.start_ns).where(closed).order_by(PERIODS.c.start_ns)).scalars().all()
    for day_ns in days:
        with engine.begin() as connection:
            hold_periods(connection)
            yield str(ROLLUPS.name), _forget_day(connection, day_ns)


def _forget_day(connection: Connection, day_ns: int) -> int:
    """Remove the sums of a day, of its parts and of its week, whose other days tell what they have themselves. Returns
    how many rows they were."""
    removed = 0
    end = day_ns + DAY_NS
    for grain in GRAINS:
        removed += connection.execute(REMOVE, begun(grain, day_ns - day_ns % grain.of_ns, end)).rowcount
    for length_ns in LENGTHS_NS:
        if length_ns != DAY_NS:
            within = PERIODS.c.start_ns.between(day_ns - day_ns % length_ns, end - 1)
            connection.execute(delete(PERIODS).where(PERIODS.c.length_ns == length_ns, within))
    day = and_(PERIODS.c.length_ns == DAY_NS, PERIODS.c.start_ns == day_ns)
    connection.execute(update(PERIODS).where(day).values(kept=0, edition=randbits(62)))
    return removed


def count_spans(connection: Connection, before_ns: int) -> dict[str, int]:
    """How many rows of each table `prune_spans` would remove now."""
    reports = _reported(0).add_columns(func.count().label("reports")).subquery()
    old = and_(reports.c.started < before_ns, reports.c.last < before_ns)
    counts = {str(REPORTS.name): int(connection.scalar(select(func.sum(reports.c.reports)).where(old)) or 0)}
    counts[str(STEPS.name)] = count_steps(connection, before_ns)
    for table, is_old in _EVENTS:
        counts[str(table.name)] = _count(connection, table, is_old(before_ns))
    counts[str(LIMITS.name)] = _count(connection, LIMITS, LIMITS.c.seen_at_ns < before_ns)
    return counts


def count_contents(connection: Connection, before_ns: int) -> dict[str, int]:
    """The same of `prune_contents`."""
    return {str(CONTENTS.name): _count(connection, CONTENTS, CONTENTS.c.at_ns < before_ns)}


def count_calls(connection: Connection, before_ns: int) -> dict[str, int]:
    """The same of `prune_calls`."""
    return {str(CALLS.name): _count(connection, CALLS, CALLS.c.started_at_ns < before_ns - before_ns % DAY_NS)}


def count_rollups(connection: Connection, before_ns: int) -> dict[str, int]:
    """The same of `prune_rollups`."""
    return {str(ROLLUPS.name): _count(connection, ROLLUPS, ROLLUPS.c.start_ns < before_ns - before_ns % WEEK_NS)}


def _reported(after: int) -> Select[Any]:
    """Calls that have reports, by id: when each started, and when its reports first and last came."""
    return (
        select(
            REPORTS.c.call_id.label("id"),
            func.min(CALLS.c.started_at_ns).label("started"),
            func.min(REPORTS.c.received_at_ns).label("first"),
            func.max(REPORTS.c.received_at_ns).label("last"),
        )
        .join_from(REPORTS, CALLS, CALLS.c.id == REPORTS.c.call_id)
        .where(REPORTS.c.call_id > after)
        .group_by(REPORTS.c.call_id)
        .order_by(REPORTS.c.call_id)
    )


def _first_day(engine: Engine) -> int | None:
    with reading(engine) as connection:
        at_ns: int | None = connection.scalar(select(func.min(CALLS.c.started_at_ns)))
    return None if at_ns is None else at_ns - at_ns % DAY_NS


def _remove(engine: Engine, table: Table, is_old: ColumnElement[bool]) -> Iterator[tuple[str, int]]:
    while True:
        with reading(engine) as connection:
            old = connection.execute(select(table.c.id).where(is_old).limit(BATCH)).scalars().all()
        if not old:
            return
        with engine.begin() as connection:
            removed = connection.execute(delete(table).where(table.c.id.in_(old), is_old)).rowcount
        yield str(table.name), removed


def _count(connection: Connection, table: Table, is_old: ColumnElement[bool]) -> int:
    return int(connection.scalar(select(func.count()).select_from(table).where(is_old)) or 0)
