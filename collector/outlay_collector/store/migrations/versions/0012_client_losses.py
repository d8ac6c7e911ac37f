"""How many calls applications made and could not deliver."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012_client_losses"
down_revision = "0011_key_quotas"


def upgrade() -> None:
    op.create_table(
        "client_losses",
        sa.Column("holder", sa.String, primary_key=True),
        sa.Column("reason", sa.String, primary_key=True),
        sa.Column("service", sa.String),
        sa.Column("environment", sa.String),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("first_at_ns", sa.BigInteger(), nullable=False),
        sa.Column("last_at_ns", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_client_losses_last_at", "client_losses", ["last_at_ns"])


def downgrade() -> None:
    op.drop_table("client_losses")
