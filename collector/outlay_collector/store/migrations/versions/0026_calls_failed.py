"""Calls that failed, by time, with whose they are: they are few, and what people look for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026_calls_failed"
down_revision = "0025_held_quarters"


def upgrade() -> None:
    failed = sa.text("status = 'error'")
    op.create_index(
        "ix_calls_failed",
        "calls",
        ["started_at_ns", "user", "tenant", "feature", "model"],
        sqlite_where=failed,
        postgresql_where=failed,
    )


def downgrade() -> None:
    op.drop_index("ix_calls_failed", "calls")
