"""How much whoever sends with an API key may ask for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011_key_quotas"
down_revision = "0010_limits_pins"

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("quota", _JSON))


def downgrade() -> None:
    op.drop_column("api_keys", "quota")
