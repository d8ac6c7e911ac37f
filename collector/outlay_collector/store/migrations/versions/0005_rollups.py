"""Sums of calls by period. Periods that have calls already are listed as stale."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_rollups"
down_revision = "0004_repricings"

_LENGTHS_NS = (900_000_000_000, 3_600_000_000_000, 21_600_000_000_000, 86_400_000_000_000, 604_800_000_000_000)
_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "rollup_periods",
        sa.Column("length_ns", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("start_ns", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("stale", sa.Boolean, nullable=False),
        sa.Column("kept", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("claim", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollups",
        sa.Column("grouping", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("section", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("length_ns", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("of_ns", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("start_ns", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("groups", sa.Integer, nullable=False),
        sa.Column("packed", sa.LargeBinary, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Packed as it is: to compress it takes longer than to read it
        op.execute("ALTER TABLE rollups ALTER COLUMN packed SET STORAGE EXTERNAL")
        op.execute("ALTER TABLE rollups SET (toast_tuple_target = 8160)")  # what fits a page is read with its row
    op.create_table(
        "rollup_names",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sqlite_autoincrement=True,
    )
    for length in _LENGTHS_NS:
        op.execute(
            f"INSERT INTO rollup_periods (length_ns, start_ns, stale) "
            f"SELECT DISTINCT {length}, started_at_ns - started_at_ns % {length}, true FROM calls"
        )


def downgrade() -> None:
    op.drop_table("rollup_names")
    op.drop_table("rollups")
    op.drop_table("rollup_periods")
