"""The tables of calls, of the reports they were made from, and of the steps around them.

A call is one row of `calls`: what the reports of it say together. A report is one span that described the call; most
calls have one, and then the call's row is all there is to know of it. Times are nanoseconds since the epoch, UTC; money
is nano-USD; a count nobody reported is NULL, never 0. Rows stand in the order of arrival, which is nearly that of time.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

Json: Final = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
BigId: Final = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER PRIMARY KEY is SQLite's own row id


class CallRow(SQLModel, table=True):
    """One billable call."""

    __tablename__ = "calls"
    __table_args__ = (
        Index("ix_calls_time", "started_at_ns", "user", "tenant", "status"),
        Index(
            "ix_calls_without_id",
            "output_tokens",
            "started_at_ns",
            sqlite_where=text("response_id IS NULL"),
            postgresql_where=text("response_id IS NULL"),
        ),
        Index(
            "ix_calls_failed",
            "started_at_ns",
            "user",
            "tenant",
            "feature",
            "model",
            sqlite_where=text("status = 'error'"),
            postgresql_where=text("status = 'error'"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    bill_key: str = Field(unique=True)
    """`provider:response_id`, else `trace_id:span_id`: two reports with one key are one call."""
    provider: str
    operation: str
    model: str | None = None
    """What was served, else what was asked for."""
    model_requested: str | None = None
    model_served: str | None = None
    response_id: str | None = None
    trace_id: str
    span_id: str
    parent_span_id: str | None = None
    started_at_ns: int = Field(sa_type=BigInteger)
    ended_at_ns: int = Field(sa_type=BigInteger)
    clock_ahead_ms: int | None = Field(default=None, sa_type=BigInteger)
    """By how much the sender's clock was ahead, where the call was moved back for that: `store.clocks`."""
    duration_ms: float
    ttft_ms: float | None = None
    latency_bin: int
    """`store.bins` of `duration_ms`; `ttft_bin` likewise."""
    ttft_bin: int | None = None
    status: str
    """`ok` or `error`."""
    error_type: str | None = None
    http_status: int | None = None
    attempts: list[dict[str, Any]] | None = Field(default=None, sa_type=Json)
    retries: int = 0
    rate_limited: int = 0
    """How many of the attempts were answered 429."""
    service: str | None = None
    environment: str | None = None
    feature: str | None = None
    user: str | None = None
    tenant: str | None = None
    session: str | None = None
    tags: dict[str, str] | None = Field(default=None, sa_type=Json)
    input_tokens: int | None = Field(default=None, sa_type=BigInteger)
    output_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cache_read_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cache_write_tokens: int | None = Field(default=None, sa_type=BigInteger)
    reasoning_tokens: int | None = Field(default=None, sa_type=BigInteger)
    usage: dict[str, Any] | None = Field(default=None, sa_type=Json)
    """Every unit, as `outlay.usage` writes it."""
    usage_raw: dict[str, Any] | None = Field(default=None, sa_type=Json)
    terms: dict[str, Any] | None = Field(default=None, sa_type=Json)
    """Only what differs from the standard terms."""
    cost_nano_usd: int | None = Field(default=None, sa_type=BigInteger)
    cost_status: str
    cost_reason: str | None = None
    cost_lines: list[dict[str, Any]] | None = Field(default=None, sa_type=Json)
    price_id: str | None = None
    response_cache: str | None = None
    prompt_cache: str | None = None
    avoided_nano_usd: int | None = Field(default=None, sa_type=BigInteger)
    streamed: bool = False
    stream_end: str | None = None
    finish_reasons: list[str] | None = Field(default=None, sa_type=Json)
    request_id: str | None = None
    server_address: str | None = None
    received_at_ns: int = Field(sa_type=BigInteger)


class ReportRow(SQLModel, table=True):
    """One span that reported a call. The key makes a span that is sent again a span already known."""

    __tablename__ = "reports"
    __table_args__ = ({"sqlite_with_rowid": False},)

    trace_id: str = Field(primary_key=True)
    span_id: str = Field(primary_key=True)
    parent_span_id: str | None = None
    call_id: int = Field(
        sa_column=Column(BigId, ForeignKey("calls.id", ondelete="CASCADE"), index=True, nullable=False)
    )
    dialect: str
    """Whose attribute names the span used."""
    scope: str
    """The instrumentation scope: name and, after `@`, version."""
    rank: int
    """How good a source it is: `billing.Source`, 0 is the best."""
    body: dict[str, Any] | None = Field(default=None, sa_type=Json)
    """What this span said. NULL where it is the call's only report: then the call's row says it."""
    received_at_ns: int = Field(sa_type=BigInteger)


CALLS: Final = SQLModel.metadata.tables["calls"]
REPORTS: Final = SQLModel.metadata.tables["reports"]
STEPS: Final = Table(
    "steps",
    SQLModel.metadata,
    Column("trace_id", LargeBinary, primary_key=True),
    Column("span_id", LargeBinary, primary_key=True),
    Column("parent_span_id", LargeBinary),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("started_at_ns", BigInteger, nullable=False),
    Column("ended_at_ns", BigInteger, nullable=False),
    Column("failed", Boolean, nullable=False),
    Index("ix_steps_started_at_ns", "started_at_ns"),
    sqlite_with_rowid=False,
)
"""One b-tree, in the order it is read in. Ids are bytes, which are half as long as hex."""
