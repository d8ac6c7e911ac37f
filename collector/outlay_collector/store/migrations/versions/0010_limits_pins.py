"""Rate limits of providers as last seen, and what an API key says of whoever sends with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010_limits_pins"
down_revision = "0009_reports"

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "rate_limits",
        sa.Column("provider", sa.String, primary_key=True),
        sa.Column("model", sa.String, primary_key=True),
        sa.Column("service", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("most", sa.BigInteger),
        sa.Column("remaining", sa.BigInteger),
        sa.Column("resets_at_ns", sa.BigInteger),
        sa.Column("seen_at_ns", sa.BigInteger, nullable=False),
    )
    op.add_column("api_keys", sa.Column("pins", _JSON))


def downgrade() -> None:
    op.drop_column("api_keys", "pins")
    op.drop_table("rate_limits")
