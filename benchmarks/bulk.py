"""A database of many calls, filled without a collector: rows that the writer would have written, made from a few of its
own by giving each other ids, another time and another caller.

That they are the same rows, and the rollups too, is proven by a test that fills one database this way and another
through the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from month import Times, callers, templates
from outlay.model import Call
from outlay_collector.billing import Report, Source
from outlay_collector.rolling import sum_up_all
from outlay_collector.store.grains import LENGTHS_NS
from outlay_collector.store.inserting import insert_rows
from outlay_collector.store.rows import COLUMNS
from outlay_collector.store.schema import REPORTS
from outlay_collector.store.writing import rows_of
from sqlalchemy import Engine, text

TEMPLATES: Final = 20_011
"""So many different calls there are; a prime, so that they do not meet the same hour of every day."""
_PAGE: Final = 50_000
_CALLS_A_SESSION: Final = 5
_AT: Final = {name: place for place, name in enumerate(("id", *COLUMNS))}
_REPORT_COLUMNS: Final = tuple(column.name for column in REPORTS.columns)
_TRACE, _SPAN, _CALL, _RECEIVED = (
    _REPORT_COLUMNS.index(name) for name in ("trace_id", "span_id", "call_id", "received_at_ns")
)
_UNDERWAY_NS: Final = 500_000_000


class Traffic:
    """So many calls in a window, as `month` describes them, by number from 0."""

    def __init__(self, number: int, from_ns: int, to_ns: int) -> None:
        self.number = number
        self.started_at_ns = Times(number, from_ns, to_ns).started_at_ns
        self._calls = list(templates(min(TEMPLATES, number), from_ns))
        self._callers = callers()

    def report(self, n: int) -> Report:
        """The n-th call, as a decoded span tells of it."""
        call = self._calls[n % len(self._calls)]
        at_ns = self.started_at_ns(n)
        who = self._callers[n % len(self._callers)]
        return _report(n, replace(
            call,
            started_at_ns=at_ns,
            ended_at_ns=at_ns + call.ended_at_ns - call.started_at_ns,
            response_id=_response_id(n),
            request_id=_request_id(n),
            attribution=replace(
                call.attribution, session=_session(n), user=who.user, tenant=who.tenant, environment=who.environment
            ),
        ))  # fmt: skip

    def rows(self, received_at_ns: int | None) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """The rows of `calls` and `reports`; of the first call the id is 1. None: each came soon after it ended."""
        templates = [rows_of(_report(n, call), 0, received_at_ns or 0) for n, call in enumerate(self._calls)]
        for n in range(self.number):
            call_row, report_row = (list(row) for row in templates[n % len(templates)])
            self._make_call(n, call_row)
            report_row[_TRACE], report_row[_SPAN], report_row[_CALL] = *_ids(n), n + 1
            if received_at_ns is None:
                call_row[_AT["received_at_ns"]] = report_row[_RECEIVED] = call_row[_AT["ended_at_ns"]] + _UNDERWAY_NS
            yield tuple(call_row), tuple(report_row)

    def _make_call(self, n: int, row: list[Any]) -> None:
        at_ns = self.started_at_ns(n)
        who = self._callers[n % len(self._callers)]
        row[_AT["user"]], row[_AT["tenant"]], row[_AT["environment"]] = who.user, who.tenant, who.environment
        row[_AT["id"]] = n + 1
        row[_AT["ended_at_ns"]] += at_ns - row[_AT["started_at_ns"]]
        row[_AT["started_at_ns"]] = at_ns
        row[_AT["response_id"]] = _response_id(n)
        row[_AT["bill_key"]] = f"{row[_AT['provider']]}:{_response_id(n)}"
        row[_AT["request_id"]] = _request_id(n)
        row[_AT["session"]] = _session(n)
        row[_AT["trace_id"]], row[_AT["span_id"]] = _ids(n)


def fill(engine: Engine, traffic: Traffic, now_ns: int, received_at_ns: int | None = None) -> None:
    """Write it all into an empty database that is migrated, and sum it up. `received_at_ns`: all at once, then."""
    write(engine, traffic, received_at_ns)
    sum_up_all(engine, now_ns)
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))  # as its autovacuum would have by now


def write(engine: Engine, traffic: Traffic, received_at_ns: int | None) -> None:
    """The calls, and that nothing of them is summed up."""
    rows = traffic.rows(received_at_ns)
    while page := list(islice(rows, _PAGE)):
        with engine.begin() as connection:
            insert_rows(connection, "calls", ("id", *COLUMNS), (call for call, _ in page))
            insert_rows(connection, "reports", _REPORT_COLUMNS, (report for _, report in page))
    with engine.begin() as connection:
        _list_periods(connection, traffic)
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT setval(pg_get_serial_sequence('calls', 'id'), :n)"), {"n": traffic.number})


def _list_periods(connection: Any, traffic: Traffic) -> None:
    times = {at - at % LENGTHS_NS[0] for at in map(traffic.started_at_ns, range(traffic.number))}
    periods = {(length, at - at % length, True) for at in times for length in LENGTHS_NS}
    insert_rows(connection, "rollup_periods", ("length_ns", "start_ns", "stale"), sorted(periods))


def _report(n: int, call: Call) -> Report:
    trace_id, span_id = _ids(n)
    return Report(
        call=call,
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=None,
        dialect="outlay",
        scope="outlay",
        source=Source.OUTLAY,
    )


def _ids(n: int) -> tuple[str, str]:
    return f"{n + 1:032x}", f"{n + 1:016x}"


def _response_id(n: int) -> str:
    return f"resp_{n:024x}"


def _request_id(n: int) -> str:
    return f"req_{n:020x}"


def _session(n: int) -> str:
    return f"session-{n // _CALLS_A_SESSION}"
