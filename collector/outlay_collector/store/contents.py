"""Prompts and answers, beside the calls they belong to and for a shorter time.

A row a report that brought any, under the identity of its span: what is one call may change, what a span said does not.
No other table holds a word of them, so that letting them go is letting these rows go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from outlay.model import Content
from sqlalchemy import BigInteger, Column, Connection, UniqueConstraint, select
from sqlmodel import Field, SQLModel

from outlay_collector.billing import Report
from outlay_collector.store.inserting import insert_new
from outlay_collector.store.schema import REPORTS, BigId


class ContentRow(SQLModel, table=True):
    """What one span said was said: JSON texts of the shape the GenAI conventions give messages."""

    __tablename__ = "contents"
    __table_args__ = (UniqueConstraint("trace_id", "span_id"),)

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    trace_id: str
    span_id: str
    mode: str
    """`redacted` or `full`."""
    system: str | None = None
    input: str | None = None
    output: str | None = None
    at_ns: int = Field(sa_type=BigInteger, index=True)
    """When it came in."""


CONTENTS: Final[Any] = SQLModel.metadata.tables["contents"]


def write_contents(connection: Connection, reports: Iterable[Report], at_ns: int) -> None:
    """Store what came with fresh reports, in the caller's transaction."""
    rows = [
        {
            "trace_id": report.trace_id,
            "span_id": report.span_id,
            "mode": content.mode,
            "system": content.system,
            "input": content.input,
            "output": content.output,
            "at_ns": at_ns,
        }
        for report in reports
        if (content := report.call.content) is not None
    ]
    insert_new(connection, CONTENTS, rows)


def content_of(connection: Connection, call_id: int) -> Content | None:
    """What is known of what was said in a call, None where nothing is, or not any more."""
    columns = (CONTENTS.c.mode, CONTENTS.c.system, CONTENTS.c.input, CONTENTS.c.output)
    same = (CONTENTS.c.trace_id == REPORTS.c.trace_id) & (CONTENTS.c.span_id == REPORTS.c.span_id)
    found: Sequence[Any] | None = connection.execute(
        select(*columns).join_from(CONTENTS, REPORTS, same).where(REPORTS.c.call_id == call_id).order_by(REPORTS.c.rank)
    ).first()
    return None if found is None else Content(*found)
