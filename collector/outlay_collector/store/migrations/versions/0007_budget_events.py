"""Calls that budgets held back, and what holds for a while in place of a budget's definition."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007_budget_events"
down_revision = "0006_keys"


def upgrade() -> None:
    op.create_table(
        "budget_easings",
        sa.Column("budget", sa.String, primary_key=True),
        sa.Column("limit_amount", sa.BigInteger),
        sa.Column("since_ns", sa.BigInteger, nullable=False),
        sa.Column("until_ns", sa.BigInteger),
    )
    op.create_table(
        "budget_refusals",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("budget", sa.String, nullable=False),
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("holder", sa.String, nullable=False),
        sa.Column("provider", sa.String, nullable=False),
        sa.Column("model", sa.String),
        sa.Column("service", sa.String),
        sa.Column("feature", sa.String),
        sa.Column("user", sa.String),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("avoided_nano_usd", sa.BigInteger),
    )
    op.create_index("ix_budget_refusals_budget", "budget_refusals", ["budget", "at_ns"])
    op.create_index("ix_budget_refusals_at", "budget_refusals", ["at_ns"])


def downgrade() -> None:
    for table in ("budget_refusals", "budget_easings"):
        op.drop_table(table)
