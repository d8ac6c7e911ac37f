"""Steps of traces: spans that are no call."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020_steps"
down_revision = "0012_client_losses"


def upgrade() -> None:
    op.create_table(
        "steps",
        sa.Column("trace_id", sa.LargeBinary, primary_key=True),
        sa.Column("span_id", sa.LargeBinary, primary_key=True),
        sa.Column("parent_span_id", sa.LargeBinary),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("started_at_ns", sa.BigInteger, nullable=False),
        sa.Column("ended_at_ns", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_steps_started_at_ns", "steps", ["started_at_ns"])


def downgrade() -> None:
    op.drop_table("steps")
