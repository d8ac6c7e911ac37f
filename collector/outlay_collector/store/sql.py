"""The store on SQLite and Postgres."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from outlay.model import Content
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from outlay_collector.billing import Report
from outlay_collector.paths import SpanKey
from outlay_collector.store.clocks import in_the_past
from outlay_collector.store.closing import still_open
from outlay_collector.store.contents import content_of, write_contents
from outlay_collector.store.engine import reading
from outlay_collector.store.limits import note_limits
from outlay_collector.store.listing import first_call_at_ns, read_call, read_calls, read_trace
from outlay_collector.store.query import CallsQuery, StoredCall, StoredReport, UsageQuery, UsageRow
from outlay_collector.store.reading import read_usage
from outlay_collector.store.turns import Overtaken, is_overtaken, take_turn, turn_before
from outlay_collector.store.writing import Price, Written, write_reports

_TRIES: Final = 5


class SqlStore:
    """`base.CallStore` over an engine of `open_engine`. What `price` is for says `write_reports`."""

    def __init__(self, engine: Engine, price: Price | None = None) -> None:
        self._engine = engine
        self._price = price

    def write(self, reports: Sequence[Report], received_at_ns: int) -> Written:
        """Several collectors may write at once: where two meet in one call, one of them reads again and goes on."""
        alone = False
        for _ in range(_TRIES - 1):
            try:
                return self._write(reports, received_at_ns, alone=alone)
            except Overtaken:
                alone = True
            except DBAPIError as error:
                if not _is_collision(error):
                    raise
        return self._write(reports, received_at_ns, alone=True)

    def _write(self, reports: Sequence[Report], received_at_ns: int, *, alone: bool) -> Written:
        """In one transaction, all of it with the turn taken where it is to be `alone`. Raises `Overtaken` where others
        have meanwhile stored what belongs to one of these calls, or priced it again."""
        with self._engine.begin() as connection:
            before = take_turn(connection) if alone else turn_before(connection)
            taken = still_open(connection, in_the_past(reports, received_at_ns), received_at_ns)
            written = write_reports(connection, taken, received_at_ns, self._price)
            write_contents(connection, taken, received_at_ns)
            note_limits(connection, taken)
            if not alone and take_turn(connection) != before + 1 and self._is_overtaken(taken, written.seen):
                raise Overtaken
        return replace(written, repeated=written.repeated + len(reports) - len(taken))

    def _is_overtaken(self, reports: Sequence[Report], seen: Collection[SpanKey]) -> bool:
        with reading(self._engine) as connection:
            return is_overtaken(connection, reports, seen)

    def usage(self, query: UsageQuery) -> list[UsageRow]:
        with reading(self._engine) as connection:
            return read_usage(connection, query)

    def calls(self, query: CallsQuery) -> list[StoredCall]:
        with reading(self._engine) as connection:
            return read_calls(connection, query)

    def call(self, call_id: int) -> tuple[StoredCall, list[StoredReport]] | None:
        with reading(self._engine) as connection:
            return read_call(connection, call_id)

    def content(self, call_id: int) -> Content | None:
        with reading(self._engine) as connection:
            return content_of(connection, call_id)

    def trace(self, trace_id: str) -> list[StoredCall]:
        with reading(self._engine) as connection:
            return read_trace(connection, trace_id)

    def first_call_at_ns(self) -> int | None:
        with reading(self._engine) as connection:
            return first_call_at_ns(connection)

    def ping(self) -> None:
        with reading(self._engine) as connection:
            connection.exec_driver_sql("SELECT 1")


def _is_collision(error: DBAPIError) -> bool:
    """Unique or foreign key violated, serialisation failed, deadlock: Postgres, when another collector was quicker."""
    return getattr(error.orig, "sqlstate", None) in ("23505", "23503", "40001", "40P01")
