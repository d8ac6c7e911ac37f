"""An index of the calls of each user."""

from __future__ import annotations

from alembic import op

revision = "0023_calls_by_user"
down_revision = "0022_calls_without_id"


def upgrade() -> None:
    op.create_index("ix_calls_user", "calls", ["user", "started_at_ns"])


def downgrade() -> None:
    op.drop_index("ix_calls_user", "calls")
