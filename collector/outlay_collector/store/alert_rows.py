"""Alerts, transitions, deliveries and silences as columns, and back: the one place that knows both."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from outlay_alerts.alert import Alert, Transition
from outlay_alerts.lifecycle import Standing, State
from outlay_alerts.measurements import Group
from outlay_alerts.records import Delivery, DeliveryStatus
from outlay_alerts.silence import Silence
from outlay_alerts.verdict import Outcome, Severity, Unit, Verdict
from sqlalchemy import RowMapping

from outlay_collector.periods import from_ns, to_ns


def group_key(group: Group) -> str:
    """A group as text that is equal where groups are."""
    return json.dumps(group, ensure_ascii=False, separators=(",", ":"))


def columns_of_alert(alert: Alert) -> dict[str, Any]:
    standing = alert.standing
    return {
        "rule": alert.rule,
        "group_key": group_key(alert.group),
        "state": standing.state.value,
        "since_at_ns": to_ns(standing.since),
        "breached_at_ns": standing.breached_at and to_ns(standing.breached_at),
        "unknown_since_at_ns": standing.unknown_since and to_ns(standing.unknown_since),
        "told": list(alert.told),
        **_columns_of_verdict(alert.verdict),
    }


def columns_of_transition(transition: Transition) -> dict[str, Any]:
    return {
        "rule": transition.rule,
        "group_key": group_key(transition.group),
        "before": transition.before.value,
        "after": transition.after.value,
        "at_ns": to_ns(transition.at),
        "since_at_ns": to_ns(transition.since),
        **_columns_of_verdict(transition.verdict),
    }


def _columns_of_verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "outcome": verdict.outcome.value,
        "severity": verdict.severity.value,
        "reason": verdict.reason,
        "unit": verdict.unit,
        "value": None if verdict.value is None else str(verdict.value),
        "threshold": None if verdict.threshold is None else str(verdict.threshold),
    }


def read_alert(row: RowMapping) -> Alert:
    standing = Standing(
        State(row["state"]),
        since=from_ns(row["since_at_ns"]),
        breached_at=_moment(row["breached_at_ns"]),
        unknown_since=_moment(row["unknown_since_at_ns"]),
    )
    return Alert(rule=row["rule"], standing=standing, verdict=_read_verdict(row), told=tuple(row["told"]))


def read_transition(row: RowMapping) -> Transition:
    return Transition(
        rule=row["rule"],
        before=State(row["before"]),
        after=State(row["after"]),
        at=from_ns(row["at_ns"]),
        since=from_ns(row["since_at_ns"]),
        verdict=_read_verdict(row),
    )


def _read_verdict(row: RowMapping) -> Verdict:
    return Verdict(
        group=tuple((name, value) for name, value in json.loads(row["group_key"])),
        outcome=Outcome(row["outcome"]),
        severity=Severity(row["severity"]),
        reason=row["reason"],
        unit=cast(Unit, row["unit"]),
        value=None if row["value"] is None else Decimal(row["value"]),
        threshold=None if row["threshold"] is None else Decimal(row["threshold"]),
    )


def read_delivery(row: RowMapping) -> Delivery:
    return Delivery(
        id=row["delivery_id"],
        transition_id=row["id"],
        transition=read_transition(row),
        channel=row["delivery_channel"],
        reminder=row["delivery_reminder"],
        status=DeliveryStatus(row["delivery_status"]),
        attempts=row["delivery_attempts"],
        created_at=from_ns(row["delivery_created_at_ns"]),
        at=from_ns(row["delivery_at_ns"]),
        present=row["present"],
        error=row["delivery_error"],
    )


def read_silence(row: RowMapping) -> Silence:
    return Silence(
        id=row["id"],
        match=row["match"],
        starts_at=from_ns(row["starts_at_ns"]),
        ends_at=from_ns(row["ends_at_ns"]),
        comment=row["comment"],
    )


def _moment(at_ns: int | None) -> datetime | None:
    return None if at_ns is None else from_ns(at_ns)
