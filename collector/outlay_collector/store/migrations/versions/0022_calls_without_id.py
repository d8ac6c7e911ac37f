"""Calls without a response id are found by what they counted: another report of them may come, in another trace."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022_calls_without_id"
down_revision = "0021_contents"


def upgrade() -> None:
    without_id = sa.text("response_id IS NULL")
    op.create_index(
        "ix_calls_without_id",
        "calls",
        ["output_tokens", "started_at_ns"],
        sqlite_where=without_id,
        postgresql_where=without_id,
    )


def downgrade() -> None:
    op.drop_index("ix_calls_without_id", "calls")
