"""Turns that collectors on one Postgres take to commit calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027_write_turns"
down_revision = "0026_calls_failed"


def upgrade() -> None:
    op.create_table(
        "write_turns",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("turns", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("write_turns")
