"""The tables of alerts: where each stands, its transitions, what is told of them to whom, and silences.

Times are nanoseconds since the epoch, UTC. The names of alerts and channels are those of the configuration, which may
change: no row refers to it by more than the name.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from outlay_collector.store.schema import BigId, Json


class _Judged(SQLModel):
    """A verdict in columns. Figures are decimal text: they are shown, never computed with."""

    outcome: str
    severity: str
    reason: str
    unit: str
    value: str | None = None
    threshold: str | None = None


class AlertRow(_Judged, table=True):
    """Where one rule stands on one group."""

    __tablename__ = "alerts"

    rule: str = Field(primary_key=True)
    group_key: str = Field(primary_key=True)
    """The group as JSON pairs, in the rule's order."""
    state: str
    since_at_ns: int = Field(sa_type=BigInteger)
    breached_at_ns: int | None = Field(default=None, sa_type=BigInteger)
    unknown_since_at_ns: int | None = Field(default=None, sa_type=BigInteger)
    told: list[str] = Field(sa_column=Column(Json, nullable=False))


class TransitionRow(_Judged, table=True):
    """An alert that began to fire or was resolved. Never changed once written."""

    __tablename__ = "alert_transitions"
    __table_args__ = (Index("ix_alert_transitions_alert", "rule", "group_key", "at_ns"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    rule: str
    group_key: str
    before: str
    after: str
    at_ns: int = Field(sa_type=BigInteger)
    since_at_ns: int = Field(sa_type=BigInteger)


class DeliveryRow(SQLModel, table=True):
    """One transition to tell one channel of."""

    __tablename__ = "alert_deliveries"
    __table_args__ = (
        UniqueConstraint("transition_id", "channel", "reminder"),
        Index("ix_alert_deliveries_due", "status", "at_ns"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    transition_id: int = Field(
        sa_column=Column(BigId, ForeignKey("alert_transitions.id", ondelete="CASCADE"), nullable=False)
    )
    channel: str
    reminder: int = 0
    status: str
    attempts: int = 0
    created_at_ns: int = Field(sa_type=BigInteger)
    at_ns: int = Field(sa_type=BigInteger)
    held_until_at_ns: int | None = Field(default=None, sa_type=BigInteger)
    error: str | None = None


class SilenceRow(SQLModel, table=True):
    """What is held back, from when to when. Ended early, it keeps its row with an earlier end."""

    __tablename__ = "alert_silences"

    id: int | None = Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))
    match: dict[str, str] = Field(sa_column=Column(Json, nullable=False))
    starts_at_ns: int = Field(sa_type=BigInteger)
    ends_at_ns: int = Field(sa_type=BigInteger)
    comment: str = ""


ALERTS: Final = SQLModel.metadata.tables["alerts"]
TRANSITIONS: Final = SQLModel.metadata.tables["alert_transitions"]
DELIVERIES: Final = SQLModel.metadata.tables["alert_deliveries"]
SILENCES: Final = SQLModel.metadata.tables["alert_silences"]
