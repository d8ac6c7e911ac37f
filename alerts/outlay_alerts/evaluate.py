"""Looks at every rule once: verdicts, what they change, and the changes written down.

`now` and the readers are arguments, so the same code runs in the collector's loop, over history (`replay`) and in a
user's own test. A rule that fails is a fact about that rule: it is recorded, and the others are looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from outlay_alerts.alert import Alert, Move, Transition
from outlay_alerts.config import Channel
from outlay_alerts.lifecycle import Standing, State, advance
from outlay_alerts.measurements import EVERYTHING, Group, Readers
from outlay_alerts.records import AlertStore
from outlay_alerts.rules import Rule
from outlay_alerts.verdict import Outcome, Verdict

logger = logging.getLogger(__name__)

_TOLD_OF: Final = frozenset({State.FIRING, State.RESOLVED})


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one look came to: every alert of every rule, and the changes this look made."""

    alerts: tuple[Alert, ...]
    transitions: tuple[Transition, ...]


def evaluate(
    rules: Sequence[Rule], channels: Sequence[Channel], readers: Readers, store: AlertStore, now: datetime
) -> Evaluation:
    """Looks at all rules at `now` and stores what changed. Raises only what the store raises.

    Where several collectors look at once, each change is made by one of them, and is in that one's evaluation.
    """
    known: dict[str, dict[Group, Alert]] = {}
    for alert in store.alerts():
        known.setdefault(alert.rule, {})[alert.group] = alert
    alerts: list[Alert] = []
    transitions: list[Transition] = []
    for rule in rules:
        moves = look(rule, known.pop(rule.name, {}), channels, readers, now)
        alerts += [move.after for move in moves if move.after]
        made = store.save([move for move in moves if move.after != move.before])
        transitions += [move.transition for move in made if move.transition]
    for gone in known.values():
        made = store.save([_retire(alert, channels, now) for alert in gone.values()])
        transitions += [move.transition for move in made if move.transition]
    return Evaluation(tuple(alerts), tuple(transitions))


def look(
    rule: Rule, known: Mapping[Group, Alert], channels: Sequence[Channel], readers: Readers, now: datetime
) -> list[Move]:
    """What one rule says of each group now, and of those it knew. Never raises."""
    verdicts = _judge(rule, known, readers, now)
    moves = [_move(rule, known.get(group), verdict, channels, now) for group, verdict in verdicts.items()]
    for group in known.keys() - verdicts.keys() or (set() if verdicts else {EVERYTHING}):
        before = known.get(group)
        verdict = rule.absent(group)
        if before is not None:
            verdict = replace(verdict, severity=before.verdict.severity)
        move = _move(rule, before, verdict, channels, now)
        over = move.after is not None and move.after.state is State.INACTIVE
        moves.append(replace(move, after=None) if over and verdicts else move)
    return moves


def replay(rules: Sequence[Rule], readers: Readers, instants: Iterable[datetime]) -> Iterator[Transition]:
    """The transitions there would have been, had these rules been looked at at these instants, which are in order."""
    known: dict[str, dict[Group, Alert]] = {rule.name: {} for rule in rules}
    for now in instants:
        for rule in rules:
            moves = look(rule, known[rule.name], (), readers, now)
            known[rule.name] = {move.after.group: move.after for move in moves if move.after}
            yield from (move.transition for move in moves if move.transition)


def _judge(rule: Rule, known: Mapping[Group, Alert], readers: Readers, now: datetime) -> dict[Group, Verdict]:
    try:
        return {verdict.group: verdict for verdict in rule.judge(readers, now)}
    except Exception as error:  # whatever it is, it is this rule's bad health and must not stop the others
        logger.warning("rule %s could not be evaluated", rule.name, exc_info=True)
        if not known:
            return {EVERYTHING: rule.failed(EVERYTHING, error)}
        severities = {group: alert.verdict.severity for group, alert in known.items()}
        return {g: replace(rule.failed(g, error), severity=severity) for g, severity in severities.items()}


def _move(rule: Rule, before: Alert | None, verdict: Verdict, channels: Sequence[Channel], now: datetime) -> Move:
    was = before.standing if before else Standing(State.INACTIVE, since=now)
    standing = advance(was, verdict.outcome, rule, now)
    told = before.told if before else ()
    if standing.state is was.state or standing.state not in _TOLD_OF:
        return Move(before=before, after=Alert(rule=rule.name, standing=standing, verdict=verdict, told=told))
    if standing.state is State.FIRING:
        told = addressed = tuple(c.name for c in channels if rule.channels is None or c.name in rule.channels)
    else:
        addressed = _told_of_the_end(told, channels)
    after = Alert(rule=rule.name, standing=standing, verdict=verdict, told=told)
    return Move(before=before, after=after, transition=_transition(was, after, now), channels=addressed)


def _retire(alert: Alert, channels: Sequence[Channel], now: datetime) -> Move:
    """The end of an alert whose rule was removed or renamed."""
    if alert.state is not State.FIRING:
        return Move(before=alert, after=None)
    verdict = replace(alert.verdict, outcome=Outcome.UNKNOWN, reason="the rule is no longer configured")
    after = replace(alert, verdict=verdict, standing=Standing(State.RESOLVED, since=now))
    transition = _transition(alert.standing, after, now)
    return Move(before=alert, after=None, transition=transition, channels=_told_of_the_end(alert.told, channels))


def _transition(was: Standing, after: Alert, now: datetime) -> Transition:
    return Transition(
        rule=after.rule, before=was.state, after=after.state, at=now, since=was.since, verdict=after.verdict
    )


def _told_of_the_end(told: Sequence[str], channels: Sequence[Channel]) -> tuple[str, ...]:
    """Those who were told of the beginning, are still there, and want to know."""
    return tuple(channel.name for channel in channels if channel.name in told and channel.send_resolved)
