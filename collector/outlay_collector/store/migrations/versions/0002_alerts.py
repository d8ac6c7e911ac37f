"""Alerts: where they stand, their transitions, deliveries and silences."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002_alerts"
down_revision = "0001_calls"

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _verdict() -> list[sa.Column[str]]:
    return [
        *(sa.Column(name, sa.String, nullable=False) for name in ("outcome", "severity", "reason", "unit")),
        *(sa.Column(name, sa.String) for name in ("value", "threshold")),
    ]


def upgrade() -> None:
    op.create_table(
        "alerts",
        *_verdict(),
        sa.Column("rule", sa.String, primary_key=True),
        sa.Column("group_key", sa.String, primary_key=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("since_at_ns", sa.BigInteger, nullable=False),
        sa.Column("breached_at_ns", sa.BigInteger),
        sa.Column("unknown_since_at_ns", sa.BigInteger),
        sa.Column("told", _JSON, nullable=False),
    )
    op.create_table(
        "alert_transitions",
        *_verdict(),
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("group_key", sa.String, nullable=False),
        sa.Column("before", sa.String, nullable=False),
        sa.Column("after", sa.String, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("since_at_ns", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alert_transitions_alert", "alert_transitions", ["rule", "group_key", "at_ns"])
    op.create_table(
        "alert_deliveries",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("transition_id", _ID, sa.ForeignKey("alert_transitions.id", ondelete="CASCADE"), nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("reminder", sa.Integer, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at_ns", sa.BigInteger, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("held_until_at_ns", sa.BigInteger),
        sa.Column("error", sa.String),
        sa.UniqueConstraint("transition_id", "channel", "reminder"),
    )
    op.create_index("ix_alert_deliveries_due", "alert_deliveries", ["status", "at_ns"])
    op.create_table(
        "alert_silences",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("match", _JSON, nullable=False),
        sa.Column("starts_at_ns", sa.BigInteger, nullable=False),
        sa.Column("ends_at_ns", sa.BigInteger, nullable=False),
        sa.Column("comment", sa.String, nullable=False),
    )


def downgrade() -> None:
    for table in ("alert_silences", "alert_deliveries", "alert_transitions", "alerts"):
        op.drop_table(table)
