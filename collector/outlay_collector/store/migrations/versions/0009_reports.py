"""Which report was sent to whom, of which period."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009_reports"
down_revision = "0008_retention"


def upgrade() -> None:
    op.create_table(
        "report_sends",
        sa.Column("report", sa.String, primary_key=True),
        sa.Column("channel", sa.String, primary_key=True),
        sa.Column("starts_at_ns", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at_ns", sa.BigInteger, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("held_until_at_ns", sa.BigInteger),
        sa.Column("error", sa.String),
    )


def downgrade() -> None:
    op.drop_table("report_sends")
