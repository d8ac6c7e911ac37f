"""A rule on one group: where it stands, what was last judged of it, and the changes people are told of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from outlay_alerts.lifecycle import Health, Standing, State
from outlay_alerts.measurements import Group
from outlay_alerts.verdict import Severity, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One row of the list of alerts. `verdict` is the last one, whatever its outcome.

    `told` names the channels that were told it fires, and are to be told when it is resolved.
    """

    rule: str
    standing: Standing
    verdict: Verdict
    told: tuple[str, ...] = ()

    @property
    def group(self) -> Group:
        return self.verdict.group

    @property
    def state(self) -> State:
        return self.standing.state

    @property
    def health(self) -> Health:
        return Health.of(self.verdict.outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """An alert that began to fire, or was resolved: the two changes people are told of. `verdict` is why.

    `since` is when the state that ended was entered: how long it was pending, or firing.
    """

    rule: str
    before: State
    after: State
    at: datetime
    since: datetime
    verdict: Verdict

    @property
    def group(self) -> Group:
        return self.verdict.group

    @property
    def severity(self) -> Severity:
        return self.verdict.severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One alert from what is stored to what it is now. `before` is None for a new one, `after` for one to forget.

    `transition` is the change people are told of, if there is one, and `channels` are those it goes to.
    """

    before: Alert | None
    after: Alert | None
    transition: Transition | None = None
    channels: tuple[str, ...] = ()
