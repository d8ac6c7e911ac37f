"""One index of calls by time that says whose they are and how they ended, instead of one by time and one by user: an
entry of the latter stood anywhere, so that each call wrote a page of it."""

from __future__ import annotations

from alembic import op

revision = "0024_calls_by_time"
down_revision = "0023_calls_by_user"


def upgrade() -> None:
    op.create_index("ix_calls_time", "calls", ["started_at_ns", "user", "tenant", "status"])
    op.drop_index("ix_calls_user", "calls")
    op.drop_index("ix_calls_started_at_ns", "calls")


def downgrade() -> None:
    op.create_index("ix_calls_started_at_ns", "calls", ["started_at_ns"])
    op.create_index("ix_calls_user", "calls", ["user", "started_at_ns"])
    op.drop_index("ix_calls_time", "calls")
