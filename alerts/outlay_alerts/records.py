"""What must outlive the process: where alerts stand, what people are to be told, what they were told, and silences.

Two small protocols, one for who looks (`AlertStore`) and one for who tells (`Outbox`). Both are met by one database
table set; several processes may work on it at once, and each change and each delivery is then one process's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from outlay_alerts.alert import Alert, Move, Transition
from outlay_alerts.silence import Silence


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    """Not told yet: waiting for its first try or the next."""
    DELIVERED = "delivered"
    """The channel took it."""
    FAILED = "failed"
    """Given up: the channel refused it for good, or did not take it for too long."""
    SILENCED = "silenced"
    """Held back by a silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One transition to be told to one channel. `reminder` is 0 for the first telling and counts up from there.

    `attempts` counts tries made. `at` is when it is due where it is pending, else when it ended. `present` is the
    alert's reason as of the last look, None where the alert is gone.
    """

    id: int
    transition_id: int
    transition: Transition
    channel: str
    reminder: int
    status: DeliveryStatus
    attempts: int
    created_at: datetime
    at: datetime
    present: str | None = None
    error: str | None = None


class AlertStore(Protocol):
    def alerts(self) -> Sequence[Alert]:
        """Every alert there is a record of."""

    def save(self, moves: Sequence[Move]) -> Sequence[Move]:
        """Makes those moves whose `before` still stands, and returns them. One transaction for all.

        A transition is stored with one pending delivery, due at once, for each channel of its move.
        """


class Outbox(Protocol):
    def due(self, now: datetime) -> Sequence[Delivery]:
        """Pending deliveries that are due and that no process holds, oldest transition first."""

    def claim(self, deliveries: Sequence[Delivery], until: datetime, now: datetime) -> Sequence[Delivery]:
        """Takes them for this process until then; returns those it got."""

    def record(self, deliveries: Sequence[Delivery]) -> None:
        """Writes down how deliveries held by this process went (`status`, `attempts`, `error`, `at`) and lets go."""

    def last_told(self) -> Sequence[Delivery]:
        """For every alert that is firing, the last delivery of its present firing to each channel."""

    def remind(self, told: Delivery, now: datetime) -> bool:
        """Adds the next reminder after this delivery, due now. False where another process has."""

    def silences(self, now: datetime) -> Sequence[Silence]:
        """Those that hold now."""
