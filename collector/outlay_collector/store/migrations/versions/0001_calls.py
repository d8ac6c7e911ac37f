"""Calls and the reports they were made from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001_calls"
down_revision = None

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("bill_key", sa.String, nullable=False, unique=True),
        sa.Column("provider", sa.String, nullable=False),
        sa.Column("operation", sa.String, nullable=False),
        sa.Column("model", sa.String),
        sa.Column("model_requested", sa.String),
        sa.Column("model_served", sa.String),
        sa.Column("response_id", sa.String),
        sa.Column("trace_id", sa.String, nullable=False),
        sa.Column("span_id", sa.String, nullable=False),
        sa.Column("parent_span_id", sa.String),
        sa.Column("started_at_ns", sa.BigInteger, nullable=False),
        sa.Column("ended_at_ns", sa.BigInteger, nullable=False),
        sa.Column("clock_ahead_ms", sa.BigInteger),
        sa.Column("duration_ms", sa.Float, nullable=False),
        sa.Column("ttft_ms", sa.Float),
        sa.Column("latency_bin", sa.Integer, nullable=False),
        sa.Column("ttft_bin", sa.Integer),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("error_type", sa.String),
        sa.Column("http_status", sa.Integer),
        sa.Column("attempts", _JSON),
        sa.Column("retries", sa.Integer, nullable=False),
        sa.Column("rate_limited", sa.Integer, nullable=False),
        sa.Column("service", sa.String),
        sa.Column("environment", sa.String),
        sa.Column("feature", sa.String),
        sa.Column("user", sa.String),
        sa.Column("tenant", sa.String),
        sa.Column("session", sa.String),
        sa.Column("tags", _JSON),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("cache_read_tokens", sa.BigInteger),
        sa.Column("cache_write_tokens", sa.BigInteger),
        sa.Column("reasoning_tokens", sa.BigInteger),
        sa.Column("usage", _JSON),
        sa.Column("usage_raw", _JSON),
        sa.Column("terms", _JSON),
        sa.Column("cost_nano_usd", sa.BigInteger),
        sa.Column("cost_status", sa.String, nullable=False),
        sa.Column("cost_reason", sa.String),
        sa.Column("cost_lines", _JSON),
        sa.Column("price_id", sa.String),
        sa.Column("response_cache", sa.String),
        sa.Column("prompt_cache", sa.String),
        sa.Column("avoided_nano_usd", sa.BigInteger),
        sa.Column("streamed", sa.Boolean, nullable=False),
        sa.Column("stream_end", sa.String),
        sa.Column("finish_reasons", _JSON),
        sa.Column("request_id", sa.String),
        sa.Column("server_address", sa.String),
        sa.Column("received_at_ns", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_calls_started_at_ns", "calls", ["started_at_ns"])
    op.create_table(
        "reports",
        sa.Column("trace_id", sa.String, primary_key=True),
        sa.Column("span_id", sa.String, primary_key=True),
        sa.Column("parent_span_id", sa.String),
        sa.Column("call_id", _ID, sa.ForeignKey("calls.id", ondelete="CASCADE"), nullable=False),
        sa.Column("dialect", sa.String, nullable=False),
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("body", _JSON),
        sa.Column("received_at_ns", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_reports_call_id", "reports", ["call_id"])


def downgrade() -> None:
    op.drop_table("reports")
    op.drop_table("calls")
