"""History priced again: each time it was done, and what each changed call cost before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_repricings"
down_revision = "0003_budgets"

_BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "repricings",
        sa.Column("id", _BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("from_ns", sa.BigInteger, nullable=False),
        sa.Column("to_ns", sa.BigInteger, nullable=False),
        sa.Column("model", sa.String),
        sa.Column("book", sa.String, nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("before_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("after_nano_usd", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "repriced_calls",
        sa.Column("call_id", _BIG_ID, sa.ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("repricing_id", _BIG_ID, sa.ForeignKey("repricings.id"), primary_key=True),
        sa.Column("before_nano_usd", sa.BigInteger),
        sa.Column("before_status", sa.String, nullable=False),
        sa.Column("before_price_id", sa.String),
        sa.Column("after_nano_usd", sa.BigInteger),
        sa.Column("after_status", sa.String, nullable=False),
        sa.Column("after_price_id", sa.String),
    )


def downgrade() -> None:
    op.drop_table("repriced_calls")
    op.drop_table("repricings")
