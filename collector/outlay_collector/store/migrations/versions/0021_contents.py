"""Prompts and answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021_contents"
down_revision = "0020_steps"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "contents",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("trace_id", sa.String, nullable=False),
        sa.Column("span_id", sa.String, nullable=False),
        sa.Column("mode", sa.String, nullable=False),
        sa.Column("system", sa.String),
        sa.Column("input", sa.String),
        sa.Column("output", sa.String),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("trace_id", "span_id"),
    )
    op.create_index("ix_contents_at_ns", "contents", ["at_ns"])


def downgrade() -> None:
    op.drop_table("contents")
