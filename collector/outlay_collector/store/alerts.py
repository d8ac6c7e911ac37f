"""Where alerts stand, what is told of them, and silences, on SQLite and Postgres.

Keeps `outlay_alerts.records.AlertStore` and `Outbox`. A change and the deliveries it asks for are one transaction, so
nothing changes without being told. Where several collectors look at once, a row moves only from what its mover saw
(`state` and `since` are compared), and a delivery is one process's for as long as it holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from outlay_alerts.alert import Alert, Move, Transition
from outlay_alerts.lifecycle import State
from outlay_alerts.records import Delivery, DeliveryStatus
from outlay_alerts.silence import Silence
from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from outlay_collector.periods import to_ns
from outlay_collector.store.alert_rows import (
    columns_of_alert,
    columns_of_transition,
    group_key,
    read_alert,
    read_delivery,
    read_silence,
    read_transition,
)
from outlay_collector.store.alert_tables import ALERTS, DELIVERIES, SILENCES, TRANSITIONS
from outlay_collector.store.engine import reading


class SqlAlertStore:
    """Over an engine of `open_engine`, migrated."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def alerts(self) -> list[Alert]:
        with reading(self._engine) as connection:
            return [read_alert(row) for row in connection.execute(select(ALERTS)).mappings()]

    def save(self, moves: Sequence[Move]) -> list[Move]:
        if not moves:
            return []
        in_one_order = sorted(moves, key=_key)  # so that two who save at once cannot each wait for the other
        with self._engine.begin() as connection:
            return [move for move in in_one_order if _make(connection, move)]

    def due(self, now: datetime) -> list[Delivery]:
        with reading(self._engine) as connection:
            return _deliveries(connection, _free(now), DELIVERIES.c.at_ns <= to_ns(now))

    def claim(self, deliveries: Sequence[Delivery], until: datetime, now: datetime) -> list[Delivery]:
        with self._engine.begin() as connection:
            return [
                delivery
                for delivery in deliveries
                if connection.execute(
                    update(DELIVERIES)
                    .where(DELIVERIES.c.id == delivery.id, _free(now))
                    .values(held_until_at_ns=to_ns(until))
                ).rowcount
            ]

    def record(self, deliveries: Sequence[Delivery]) -> None:
        with self._engine.begin() as connection:
            for delivery in deliveries:
                connection.execute(
                    update(DELIVERIES)
                    .where(DELIVERIES.c.id == delivery.id, DELIVERIES.c.status == DeliveryStatus.PENDING.value)
                    .values(
                        status=delivery.status.value,
                        attempts=delivery.attempts,
                        error=delivery.error,
                        at_ns=to_ns(delivery.at),
                        held_until_at_ns=None,
                    )
                )

    def last_told(self) -> list[Delivery]:
        firing = and_(ALERTS.c.state == State.FIRING.value, TRANSITIONS.c.at_ns == ALERTS.c.since_at_ns)
        with reading(self._engine) as connection:
            told = _deliveries(connection, firing)
        return list({(delivery.transition_id, delivery.channel): delivery for delivery in told}.values())

    def remind(self, told: Delivery, now: datetime) -> bool:
        with self._engine.begin() as connection:
            return _ask(connection, told.transition_id, told.channel, told.reminder + 1, to_ns(now))

    def silences(self, now: datetime) -> list[Silence]:
        now_ns = to_ns(now)
        holding = and_(SILENCES.c.starts_at_ns <= now_ns, SILENCES.c.ends_at_ns > now_ns)
        with reading(self._engine) as connection:
            found = connection.execute(select(SILENCES).where(holding).order_by(SILENCES.c.id)).mappings()
            return [read_silence(row) for row in found]

    def add_silence(self, silence: Silence) -> int:
        """Stores it and returns its id."""
        with self._engine.begin() as connection:
            added = connection.execute(
                SILENCES.insert()
                .values(
                    match=dict(silence.match),
                    starts_at_ns=to_ns(silence.starts_at),
                    ends_at_ns=to_ns(silence.ends_at),
                    comment=silence.comment,
                )
                .returning(SILENCES.c.id)
            )
            return int(added.scalar_one())

    def end_silence(self, silence_id: int, now: datetime) -> bool:
        """Ends it now. False where there is none of that id that holds."""
        with self._engine.begin() as connection:
            ended = connection.execute(
                update(SILENCES)
                .where(SILENCES.c.id == silence_id, SILENCES.c.ends_at_ns > to_ns(now))
                .values(ends_at_ns=to_ns(now))
            )
            return ended.rowcount > 0

    def history(self, limit: int, before_id: int | None = None) -> list[tuple[int, Transition, list[Delivery]]]:
        """Transitions, newest first, each with its id and deliveries. `before_id` continues an earlier page."""
        page = select(TRANSITIONS).order_by(TRANSITIONS.c.id.desc()).limit(limit)
        if before_id is not None:
            page = page.where(TRANSITIONS.c.id < before_id)
        with reading(self._engine) as connection:
            rows = connection.execute(page).mappings().all()
            told = _deliveries(connection, DELIVERIES.c.transition_id.in_([row["id"] for row in rows]))
        return [(row["id"], read_transition(row), [d for d in told if d.transition_id == row["id"]]) for row in rows]


def _key(move: Move) -> tuple[str, str]:
    alert = move.before or move.after
    return (alert.rule, group_key(alert.group)) if alert else ("", "")


def _make(connection: Connection, move: Move) -> bool:
    """Whether the move was this process's to make."""
    if not (
        _write_new(connection, move.after) if move.before is None else _write_over(connection, move.before, move.after)
    ):
        return False
    if move.transition is not None:
        row = columns_of_transition(move.transition)
        added = connection.execute(TRANSITIONS.insert().values(row).returning(TRANSITIONS.c.id)).scalar_one()
        for channel in move.channels:
            _ask(connection, added, channel, 0, row["at_ns"])
    return True


def _write_new(connection: Connection, alert: Alert | None) -> bool:
    return alert is not None and _add(connection, ALERTS, columns_of_alert(alert))


def _write_over(connection: Connection, seen: Alert, alert: Alert | None) -> bool:
    unmoved = and_(
        ALERTS.c.rule == seen.rule,
        ALERTS.c.group_key == group_key(seen.group),
        ALERTS.c.state == seen.state.value,
        ALERTS.c.since_at_ns == to_ns(seen.standing.since),
    )
    change = delete(ALERTS) if alert is None else update(ALERTS).values(columns_of_alert(alert))
    return connection.execute(change.where(unmoved)).rowcount > 0


def _ask(connection: Connection, transition_id: int, channel: str, reminder: int, at_ns: int) -> bool:
    """Adds a delivery that is due at once. False where there is one already."""
    delivery = {
        "transition_id": transition_id,
        "channel": channel,
        "reminder": reminder,
        "status": DeliveryStatus.PENDING.value,
        "attempts": 0,
        "created_at_ns": at_ns,
        "at_ns": at_ns,
    }
    return _add(connection, DELIVERIES, delivery)


def _add(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """False where a row of that key is there already."""
    insert = sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
    added = connection.execute(insert.values(row).on_conflict_do_nothing().returning(*table.primary_key))
    return added.first() is not None


def _free(now: datetime) -> ColumnElement[bool]:
    held = DELIVERIES.c.held_until_at_ns
    return and_(DELIVERIES.c.status == DeliveryStatus.PENDING.value, or_(held.is_(None), held <= to_ns(now)))


def _deliveries(connection: Connection, *conditions: ColumnElement[bool]) -> list[Delivery]:
    """Those that meet the conditions, oldest transition first, reminders in their order."""
    of_alert = and_(ALERTS.c.rule == TRANSITIONS.c.rule, ALERTS.c.group_key == TRANSITIONS.c.group_key)
    found = connection.execute(
        select(
            TRANSITIONS,
            *(column.label(f"delivery_{column.name}") for column in DELIVERIES.c),
            ALERTS.c.reason.label("present"),
        )
        .select_from(DELIVERIES.join(TRANSITIONS).outerjoin(ALERTS, of_alert))
        .where(*conditions)
        .order_by(TRANSITIONS.c.id, DELIVERIES.c.reminder, DELIVERIES.c.id)
    )
    return [read_delivery(row) for row in found.mappings()]
