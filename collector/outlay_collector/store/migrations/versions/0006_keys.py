"""API keys, by their hash."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_keys"
down_revision = "0005_rollups"


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("secret_sha256", sa.String, nullable=False),
        sa.Column("created_at_ns", sa.BigInteger, nullable=False),
        sa.Column("revoked_at_ns", sa.BigInteger),
    )


def downgrade() -> None:
    op.drop_table("api_keys")
