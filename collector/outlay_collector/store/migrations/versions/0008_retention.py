"""Days whose calls may be removed: their sums are final."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008_retention"
down_revision = "0007_budget_events"


def upgrade() -> None:
    op.add_column("rollup_periods", sa.Column("closed", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("rollup_periods", "closed")
