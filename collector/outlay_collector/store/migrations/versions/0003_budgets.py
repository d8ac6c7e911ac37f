"""Budgets, and what is lent and settled of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003_budgets"
down_revision = "0002_alerts"

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("entry", _JSON, nullable=False),
        sa.Column("origin", sa.String, nullable=False),
        sa.Column("changed_at_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "budget_accounts",
        sa.Column("budget", sa.String, primary_key=True),
        sa.Column("scope", sa.String, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("refused_at_ns", sa.BigInteger),
        sa.Column("refused", sa.BigInteger),
    )
    op.create_table(
        "budget_leases",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("budget", sa.String, nullable=False),
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("unit", sa.String, nullable=False),
        sa.Column("holder", sa.String, nullable=False),
        sa.Column("starts_at_ns", sa.BigInteger, nullable=False),
        sa.Column("ends_at_ns", sa.BigInteger),
        sa.Column("granted", sa.BigInteger, nullable=False),
        sa.Column("returned", sa.BigInteger, nullable=False),
        sa.Column("settled", sa.BigInteger, nullable=False),
        sa.Column("opened_at_ns", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ns", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_budget_leases_account", "budget_leases", ["budget", "scope", "expires_at_ns"])
    op.create_table(
        "budget_settlements",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("lease", sa.String, sa.ForeignKey("budget_leases.id"), nullable=False),
        sa.Column("budget", sa.String, nullable=False),
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("unit", sa.String, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("trace_id", sa.String),
        sa.Column("span_id", sa.String),
    )
    op.create_index("ix_budget_settlements_account", "budget_settlements", ["budget", "scope", "at_ns"])


def downgrade() -> None:
    for table in ("budget_settlements", "budget_leases", "budget_accounts", "budgets"):
        op.drop_table(table)
