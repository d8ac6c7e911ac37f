"""What people read: one plain-text message for the transitions of a rule that go out together.

The form is stable, so that a mail filter or a webhook's reader can rely on it: the title begins with the state in
brackets and names the rule; each alert is a reason line, followed by lines that begin `Value:`, `Since:`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from outlay_alerts.duration import format_duration
from outlay_alerts.lifecycle import State
from outlay_alerts.records import Delivery
from outlay_alerts.rules import Rule
from outlay_alerts.verdict import Outcome, Severity, Verdict, format_figure

MOST_SHOWN: Final = 20
_WORST_FIRST: Final = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


@dataclass(frozen=True, slots=True)
class Message:
    """`severity` is the worst of what still fires, None where all of it is resolved."""

    title: str
    body: str
    severity: Severity | None


def compose(deliveries: Sequence[Delivery], rule: Rule | None) -> Message:
    """The message for deliveries of one rule to one channel, at least one, oldest transition first.

    `rule` is None where it has been removed in the meantime.
    """
    firing = [delivery for delivery in deliveries if delivery.transition.after is State.FIRING]
    severity = next((s for s in _WORST_FIRST if any(d.transition.severity is s for d in firing)), None)
    tally = Counter(_word(delivery) for delivery in deliveries)
    words = ", ".join(word if len(deliveries) == 1 else f"{word} {count}" for word, count in tally.items())
    title = f"[{words}] {deliveries[0].transition.rule}{f' ({severity})' if severity else ''}"
    blocks = [_block(delivery) for delivery in deliveries[:MOST_SHOWN]]
    if len(deliveries) > MOST_SHOWN:
        blocks.append(f"and {len(deliveries) - MOST_SHOWN} more: `outlay alerts list` shows all")
    if firing and rule is not None:
        blocks.append(f"Next: {rule.runbook or rule.advice}")
    return Message(title, "\n\n".join(blocks), severity)


def test_message(channel: str) -> Message:
    """What `outlay alerts test` sends."""
    body = f'This is a test of the channel "{channel}". Alerts sent to it will arrive here.\n\nNext: nothing to do.'
    return Message(f"[TEST] {channel}", body, None)


def _word(delivery: Delivery) -> str:
    if delivery.transition.after is State.RESOLVED:
        return "RESOLVED"
    return "STILL FIRING" if delivery.reminder else "FIRING"


def _block(delivery: Delivery) -> str:
    transition, verdict = delivery.transition, delivery.transition.verdict
    if transition.after is State.FIRING:
        reason = delivery.present if delivery.reminder and delivery.present else verdict.reason
        return _lines(reason, _figures(verdict), f"Since: {transition.at:%Y-%m-%d %H:%M:%S} UTC")
    lasted = format_duration(transition.at - transition.since)
    span = f"{transition.since:%Y-%m-%d %H:%M:%S} UTC to {transition.at:%Y-%m-%d %H:%M:%S} UTC ({lasted})"
    doubt = (
        ""
        if verdict.outcome is Outcome.OK
        else "Resolved because nothing says that it goes on, not because it is well."
    )
    return _lines(verdict.reason, _figures(verdict), f"Fired: {span}", doubt)


def _figures(verdict: Verdict) -> str:
    if verdict.value is None or verdict.threshold is None:
        return ""
    value, threshold = format_figure(verdict.value, verdict.unit), format_figure(verdict.threshold, verdict.unit)
    return f"Value: {value}, threshold {threshold}"


def _lines(*lines: str) -> str:
    return "\n".join(line for line in lines if line)
