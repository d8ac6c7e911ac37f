"""Days that are final: summed up for good, so that their calls may be removed and no figure changes by it.

What is told of them later is let go: a period without its calls cannot be summed up again. The same goes for a report
of a call whose reports are gone already. It is known by its response id or by being the very same span; the nesting of
spans tells nothing any more.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, exists, select, update

from outlay_collector.billing import Report
from outlay_collector.response_ids import key_with_provider
from outlay_collector.store.claiming import claim_day, unfinished
from outlay_collector.store.grains import DAY_NS, LENGTHS_NS
from outlay_collector.store.inserting import portions
from outlay_collector.store.marking import hold_periods, share_periods
from outlay_collector.store.rollups import PERIODS
from outlay_collector.store.schema import CALLS, REPORTS
from outlay_collector.store.summing import sum_up, sum_up_within

log = logging.getLogger(__name__)

YOUNGEST_NS: Final = DAY_NS
"""Nothing younger is ever removed, so what arrives in its own day is not looked up."""
_OF_A_DAY: Final = tuple(length for length in LENGTHS_NS if length <= DAY_NS)


def finish_day(engine: Engine, day_ns: int) -> None:
    """Sum the day up for good, as far as it is not, so that closing it takes no long look at its calls."""
    claim = claim_day(engine, day_ns)
    for period in claim.periods:
        sum_up(engine, [period], claim, day_ns, final=True)


def close_day(connection: Connection, day_ns: int) -> None:
    """Make its sums final, after summing up what is not. Raises `LookupError` where no call was ever marked."""
    hold_periods(connection)
    days = select(PERIODS.c.start_ns).where(PERIODS.c.length_ns == DAY_NS, PERIODS.c.start_ns == day_ns)
    if connection.execute(days).first() is None:
        raise LookupError("a day with calls is not listed among the periods: `outlay db verify` says which")
    left = select(PERIODS.c.length_ns, PERIODS.c.start_ns).where(unfinished(day_ns))
    for length_ns, start_ns in sorted(tuple(period) for period in connection.execute(left)):
        sum_up_within(connection, (length_ns, start_ns))
    connection.execute(update(PERIODS).where(_within(day_ns)).values(closed=True))


def still_open(connection: Connection, reports: Sequence[Report], received_at_ns: int) -> Sequence[Report]:
    """Those that can still be told from what was removed, in their order; the others are let go, and logged."""
    late = [report for report in reports if report.call.started_at_ns < received_at_ns - YOUNGEST_NS]
    if not late:
        return reports
    share_periods(connection)
    closed = _closed_days(connection, {_day(report) for report in late})
    keys = {id(report): keys_of(report, received_at_ns) for report in late}
    forgotten = _forgotten(connection, {key for each in keys.values() for key in each})
    gone = {id(report) for report in late if _day(report) in closed or not forgotten.isdisjoint(keys[id(report)])}
    say_let_go(len(gone))
    return [report for report in reports if id(report) not in gone]


def say_let_go(reports: int) -> None:
    if reports:
        log.warning("%d reports of calls that were removed long ago were let go", reports)


def keys_of(report: Report, received_at_ns: int) -> tuple[str, ...]:
    """The bill's keys that its call may be stored under, today's first: calls of more than a day before response ids
    were keys by themselves have kept the key they had."""
    key, call = report.bill_key, report.call
    if call.started_at_ns >= received_at_ns - YOUNGEST_NS:
        return (key,)
    before = key_with_provider(call.provider, call.response_id)
    return (key,) if before is None or before == key else (key, before)


def _day(report: Report) -> int:
    at_ns = report.call.started_at_ns
    return at_ns - at_ns % DAY_NS


def _within(day_ns: int) -> ColumnElement[bool]:
    return PERIODS.c.length_ns.in_(_OF_A_DAY) & PERIODS.c.start_ns.between(day_ns, day_ns + DAY_NS - 1)


def _closed_days(connection: Connection, days: set[int]) -> set[int]:
    closed = select(PERIODS.c.start_ns).where(
        PERIODS.c.length_ns == DAY_NS, PERIODS.c.closed, PERIODS.c.start_ns >= min(days)
    )
    return days.intersection(connection.execute(closed.where(PERIODS.c.start_ns <= max(days))).scalars())


def _forgotten(connection: Connection, keys: set[str]) -> set[str]:
    """The keys of calls that are kept without any report."""
    bare = select(CALLS.c.bill_key).where(~exists().where(REPORTS.c.call_id == CALLS.c.id))
    return {
        key
        for some in portions(sorted(keys))
        for key in connection.execute(bare.where(CALLS.c.bill_key.in_(some))).scalars()
    }
