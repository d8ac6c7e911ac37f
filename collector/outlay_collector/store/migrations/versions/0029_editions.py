"""Which edition of a period's sums is kept, so that what was read of them before need not be read again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029_editions"
down_revision = "0028_keys_by_id"


def upgrade() -> None:
    op.add_column("rollup_periods", sa.Column("edition", sa.BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("rollup_periods", "edition")
