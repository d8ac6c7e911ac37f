"""Sums of calls by period. Periods that have calls already are listed as stale."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_rollups"
down_revision = "0004_repricings"

_LENGTHS_NS = (900_000_000_000, 3_600_000_000_000, 21_600_000_000_000, 86_400_000_000_000, 604_800_000_000_000)
_DIMENSIONS = ("service", "environment", "provider", "model", "operation", "feature", "tenant", "status", "user")


def upgrade() -> None:
    op.create_table(
        "rollup_periods",
        sa.Column("length_ns", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("start_ns", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("stale", sa.Boolean, nullable=False),
        sa.Column("kept", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("claim", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollups",
        sa.Column("grouping", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("length_ns", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("start_ns", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.String) for name in _DIMENSIONS),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("errors", sa.BigInteger, nullable=False),
        sa.Column("auth_failures", sa.BigInteger, nullable=False),
        sa.Column("rate_limited", sa.BigInteger, nullable=False),
        sa.Column("retries", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("cache_read_tokens", sa.BigInteger),
        sa.Column("cache_write_tokens", sa.BigInteger),
        sa.Column("reasoning_tokens", sa.BigInteger),
        sa.Column("cost_nano_usd", sa.BigInteger),
        sa.Column("avoided_nano_usd", sa.BigInteger),
        sa.Column("unpriced_calls", sa.BigInteger, nullable=False),
        sa.Column("latency", sa.LargeBinary),
        sa.Column("ttft", sa.LargeBinary),
        sqlite_with_rowid=False,
    )
    for length in _LENGTHS_NS:
        op.execute(
            f"INSERT INTO rollup_periods (length_ns, start_ns, stale) "
            f"SELECT DISTINCT {length}, started_at_ns - started_at_ns % {length}, true FROM calls"
        )


def downgrade() -> None:
    op.drop_table("rollups")
    op.drop_table("rollup_periods")
