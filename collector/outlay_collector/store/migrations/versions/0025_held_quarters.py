"""Up to which of its calls a quarter's sums go, so that they can be read while more come."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025_held_quarters"
down_revision = "0024_calls_by_time"


def upgrade() -> None:
    for name in ("held_id", "held_until_ns"):
        op.add_column("rollup_periods", sa.Column(name, sa.BigInteger))


def downgrade() -> None:
    for name in ("held_until_ns", "held_id"):
        op.drop_column("rollup_periods", name)
