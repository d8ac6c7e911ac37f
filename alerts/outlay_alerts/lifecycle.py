"""The life of an alert: from one look to the next, whose state it enters and when.

    inactive ── breached ──> pending ── for `for` ──> firing ── well for `keep_firing_for` ──> resolved ──> inactive

One pure function. A look that could not judge never fires and never counts as well: what is pending starts over, what
is firing goes on, until there has been nothing to judge by for `no_data_after`. A look that failed changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol, assert_never

from outlay_alerts.verdict import Outcome

RESOLVED_SHOWN_FOR: Final = timedelta(minutes=15)


class State(StrEnum):
    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"
    """Fired until a short while ago. Behaves as inactive and is shown as what it is."""


class Health(StrEnum):
    """Whether the last look could judge. Says nothing of the state."""

    OK = "ok"
    ERROR = "error"
    NO_DATA = "no_data"

    @classmethod
    def of(cls, outcome: Outcome) -> Health:
        return _HEALTH[outcome]


_HEALTH: Final = {
    Outcome.BREACHED: Health.OK,
    Outcome.OK: Health.OK,
    Outcome.UNKNOWN: Health.NO_DATA,
    Outcome.FAILED: Health.ERROR,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """A state, entered at `since`. `breached_at` is the last look that saw a breach; `unknown_since` the first of the
    looks, up to the last one, that had nothing to judge by."""

    state: State
    since: datetime
    breached_at: datetime | None = None
    unknown_since: datetime | None = None


class Patience(Protocol):
    """The lengths of time a rule sets."""

    @property
    def for_(self) -> timedelta: ...
    @property
    def keep_firing_for(self) -> timedelta: ...
    @property
    def no_data_after(self) -> timedelta: ...


def advance(standing: Standing, outcome: Outcome, patience: Patience, now: datetime) -> Standing:
    """The standing after a look at `now`. Equal to the one before where nothing has changed."""
    match outcome:
        case Outcome.FAILED:
            return standing
        case Outcome.BREACHED:
            return replace(_breached(standing, patience, now), breached_at=now, unknown_since=None)
        case Outcome.OK:
            well_since = standing.breached_at or standing.since
            return replace(_well(standing, now - well_since >= patience.keep_firing_for, now), unknown_since=None)
        case Outcome.UNKNOWN:
            unknown_since = standing.unknown_since or now
            given_up = now - unknown_since >= patience.no_data_after
            return replace(_well(standing, given_up, now), unknown_since=unknown_since)
        case _:
            assert_never(outcome)


def _breached(standing: Standing, patience: Patience, now: datetime) -> Standing:
    match standing.state:
        case State.FIRING:
            return standing
        case State.PENDING:
            if now - (standing.breached_at or standing.since) > patience.for_:
                return replace(standing, since=now)  # nobody looked for so long that "without a break" is not known
            return _enter(standing, State.FIRING, now) if now - standing.since >= patience.for_ else standing
        case State.INACTIVE | State.RESOLVED:
            return _enter(standing, State.PENDING if patience.for_ else State.FIRING, now)
        case _:
            assert_never(standing.state)


def _well(standing: Standing, long_enough: bool, now: datetime) -> Standing:
    match standing.state:
        case State.INACTIVE:
            return standing
        case State.PENDING:
            return _enter(standing, State.INACTIVE, now)
        case State.FIRING:
            return _enter(standing, State.RESOLVED, now) if long_enough else standing
        case State.RESOLVED:
            shown = now - standing.since >= RESOLVED_SHOWN_FOR
            return _enter(standing, State.INACTIVE, now) if shown else standing
        case _:
            assert_never(standing.state)


def _enter(standing: Standing, state: State, now: datetime) -> Standing:
    return replace(standing, state=state, since=now)
