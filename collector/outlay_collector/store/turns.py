"""Who of several collectors on one Postgres writes calls when.

All of them read, group and insert at once, and commit in turn: who has done all but commit takes a turn, and by its
number sees whether somebody else has committed since it began to read. What those have written it could not see; where
that tells of one of its own calls (`is_overtaken`) it begins again, with its turn taken first, so that nobody can come
between. SQLite has one writer anyway. It costs two short statements a transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Row, select
from sqlmodel import Field, SQLModel

from outlay_collector.billing import Report
from outlay_collector.paths import SpanKey
from outlay_collector.store.inserting import portions, rows_by_key
from outlay_collector.store.marking import share_periods
from outlay_collector.store.neighbours import Neighbours
from outlay_collector.store.pairing import echoes_near, lonely_near, streams_near
from outlay_collector.store.repricings import COST_COLUMNS
from outlay_collector.store.schema import CALLS


class Overtaken(Exception):
    """Somebody else was quicker: what was read is not what is stored."""


class TurnRow(SQLModel, table=True):
    """How many turns were taken: one row, or none where there was no turn yet."""

    __tablename__ = "write_turns"

    id: int = Field(primary_key=True)
    turns: int = Field(sa_type=BigInteger)


_NEXT: Final = (
    "INSERT INTO write_turns (id, turns) VALUES (1, 1) "
    "ON CONFLICT (id) DO UPDATE SET turns = write_turns.turns + 1 RETURNING turns"
)


def turn_before(connection: Connection) -> int:
    """The last turn whose writer has committed."""
    if connection.dialect.name != "postgresql":
        return 0
    return connection.exec_driver_sql("SELECT turns FROM write_turns").scalar() or 0


def take_turn(connection: Connection) -> int:
    """The next one, once all before it have committed; until this transaction ends nobody else takes one."""
    if connection.dialect.name != "postgresql":
        return 1
    return int(connection.exec_driver_sql(_NEXT).scalar_one())


def is_overtaken(connection: Connection, reports: Sequence[Report], seen: Collection[SpanKey]) -> bool:
    """Whether reports are stored, beside those that were `seen`, that may be of one call with one of these. Asked on a
    connection that does not see what is about to be committed."""
    fresh = [report for report in reports if (report.trace_id, report.span_id) not in seen]
    neighbours = Neighbours(connection, fresh)
    mixed = neighbours.told_of_by_several(fresh)
    mine = {(report.trace_id, report.span_id) for report in fresh}
    above = {(report.trace_id, report.parent_span_id) for report in fresh}
    found = {
        key for key, parent in neighbours.parents.items() if key[0] in mixed or key in above or (key[0], parent) in mine
    }
    keys = {report.bill_key for report in fresh if report.answer_id}
    calls = {call_id for (call_id,) in rows_by_key(connection, "calls", ("id",), "bill_key", keys)}
    calls |= lonely_near(connection, fresh) | streams_near(connection, fresh) | echoes_near(connection, fresh)
    of_calls = rows_by_key(connection, "reports", ("trace_id", "span_id"), "call_id", calls)
    return not (found | {(trace_id, span_id) for trace_id, span_id in of_calls}) <= set(seen)


def hold_calls(connection: Connection, read: Mapping[int, Row[Any]]) -> None:
    """Nobody else changes these calls until this transaction ends. Raises `Overtaken` where one is gone, or costs
    something else than when it was read. What is held, and then marked, is in the order that repricing has
    (`repricings.read_page`)."""
    if not read or connection.dialect.name != "postgresql":
        return
    share_periods(connection)
    columns = [CALLS.c[name] for name in COST_COLUMNS]
    for some in portions(sorted(read)):
        wanted = select(CALLS.c.id, *columns).where(CALLS.c.id.in_(some)).order_by(CALLS.c.id).with_for_update()
        held = {row.id: tuple(row[1:]) for row in connection.execute(wanted)}
        if held != {call_id: tuple(read[call_id]._mapping[name] for name in COST_COLUMNS) for call_id in some}:
            raise Overtaken
