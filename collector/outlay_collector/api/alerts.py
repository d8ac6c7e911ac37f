"""Alerts as they stand, their history with what was told to whom, and silences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from outlay.lines import decimal_text
from outlay_alerts.alert import Alert, Transition
from outlay_alerts.duration import DURATION_FORM, read_duration
from outlay_alerts.records import Delivery
from outlay_alerts.silence import Silence
from outlay_alerts.verdict import Verdict
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from outlay_collector.api.dependencies import EngineOf, NowNs
from outlay_collector.api.errors import bad_field, not_found
from outlay_collector.periods import from_ns, rfc3339, to_ns
from outlay_collector.store.alerts import SqlAlertStore
from outlay_collector.store.query import is_dimension

router = APIRouter(prefix="/api/v1", tags=["alerts"])

MOST_TRANSITIONS: Final = 500
LONGEST_SILENCE: Final = timedelta(days=366)
_LOUDEST_FIRST: Final = ("firing", "pending", "resolved", "inactive")
_NAMES_BESIDE_DIMENSIONS: Final = ("rule", "severity", "budget", "threshold")


class NewSilence(BaseModel):
    """`match` has the `rule`, the `severity`, or dimensions of the group, by their names; all must be so.

    It lasts for `for`, such as "2h", or until `until`, RFC 3339.
    """

    model_config = ConfigDict(extra="forbid")

    match: dict[str, str]
    for_: str | None = Field(None, alias="for")
    until: AwareDatetime | None = None
    comment: str = Field("", max_length=500)


@router.get("/alerts")
def list_alerts(engine: EngineOf) -> dict[str, Any]:
    """Every rule on every group as of the last look; what fires first."""
    alerts = sorted(
        SqlAlertStore(engine).alerts(),
        key=lambda alert: (_LOUDEST_FIRST.index(alert.state), alert.rule, [(n, v or "") for n, v in alert.group]),
    )
    return {"alerts": [alert_json(alert) for alert in alerts]}


@router.get("/alerts/history")
def list_transitions(
    engine: EngineOf,
    limit: Annotated[int, Query(ge=1, le=MOST_TRANSITIONS)] = 50,
    cursor: Annotated[int | None, Query(ge=1, lt=2**63, description="`next_cursor` of the page before.")] = None,
) -> dict[str, Any]:
    """What began to fire and what was resolved, the latest first, and how telling each channel went."""
    found = SqlAlertStore(engine).history(limit + 1, before_id=cursor)
    page = found[:limit]
    return {
        "transitions": [transition_json(transition, told) for _, transition, told in page],
        "next_cursor": page[-1][0] if len(found) > limit else None,
    }


@router.get("/silences")
def list_silences(engine: EngineOf, now_ns: NowNs) -> dict[str, Any]:
    """Those that hold now."""
    return {"silences": [_silence_json(silence) for silence in SqlAlertStore(engine).silences(from_ns(now_ns))]}


@router.post("/silences", status_code=201)
def add_silence(body: NewSilence, engine: EngineOf, now_ns: NowNs) -> dict[str, Any]:
    """Hold alerts back from now on. They are looked at and shown as ever; nobody is told until it ends."""
    now = from_ns(now_ns)
    for name in body.match:
        if not is_dimension(name) and name not in _NAMES_BESIDE_DIMENSIONS:
            raise bad_field(f"match.{name}", f"expected {', '.join(_NAMES_BESIDE_DIMENSIONS)} or a dimension")
    if not body.match:
        raise bad_field("match", "expected at least one name and value: an empty one would silence everything")
    silence = Silence(match=body.match, starts_at=now, ends_at=_end(body, now), comment=body.comment)
    store = SqlAlertStore(engine)
    return _silence_json(replace(silence, id=store.add_silence(silence)))


@router.delete("/silences/{silence_id}", status_code=204)
def end_silence(silence_id: int, engine: EngineOf, now_ns: NowNs) -> None:
    """End it now. What still fires is told of within seconds."""
    if abs(silence_id) >= 2**63 or not SqlAlertStore(engine).end_silence(silence_id, from_ns(now_ns)):
        raise not_found(f"silence {silence_id} that holds now")


def _end(body: NewSilence, now: datetime) -> datetime:
    if (body.for_ is None) == (body.until is None):
        raise bad_field("for", 'expected a length of time such as "2h", or `until`, not both')
    if body.until is not None:
        field, ends_at = "until", body.until
    else:
        try:
            field, ends_at = "for", now + read_duration(body.for_)
        except (ValueError, OverflowError):
            raise bad_field("for", f"{body.for_!r}: expected {DURATION_FORM}") from None
    if not now < ends_at <= now + LONGEST_SILENCE:
        raise bad_field(field, f"expected an end within the next {LONGEST_SILENCE.days} days")
    return ends_at


def alert_json(alert: Alert) -> dict[str, Any]:
    """An alert as the API shows it."""
    return {
        "rule": alert.rule,
        "group": dict(alert.group),
        "state": alert.state.value,
        "health": alert.health.value,
        "since": rfc3339(to_ns(alert.standing.since)),
        **_verdict_json(alert.verdict),
    }


def transition_json(transition: Transition, told: Sequence[Delivery]) -> dict[str, Any]:
    """A transition as the API shows it, with what became of telling it."""
    return {
        "rule": transition.rule,
        "group": dict(transition.group),
        "from": transition.before.value,
        "to": transition.after.value,
        "at": rfc3339(to_ns(transition.at)),
        **_verdict_json(transition.verdict),
        "deliveries": [_delivery_json(delivery) for delivery in told],
    }


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Figures are decimal text, in `unit`: a `ratio` of "0.05" is 5%."""
    return {
        "severity": verdict.severity.value,
        "value": _figure(verdict.value),
        "threshold": _figure(verdict.threshold),
        "unit": verdict.unit,
        "reason": verdict.reason,
    }


def _figure(value: Decimal | None) -> str | None:
    return None if value is None else decimal_text(round(value, 9))


def _delivery_json(delivery: Delivery) -> dict[str, Any]:
    return {
        "channel": delivery.channel,
        "reminder": delivery.reminder,
        "status": delivery.status.value,
        "attempts": delivery.attempts,
        "error": delivery.error,
        "at": rfc3339(to_ns(delivery.at)),
    }


def _silence_json(silence: Silence) -> dict[str, Any]:
    return {
        "id": silence.id,
        "match": dict(silence.match),
        "starts_at": rfc3339(to_ns(silence.starts_at)),
        "ends_at": rfc3339(to_ns(silence.ends_at)),
        "comment": silence.comment,
    }
