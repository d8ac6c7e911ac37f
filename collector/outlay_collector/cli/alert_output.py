"""Alerts, their history and silences as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console

from outlay_collector.cli.output import table

_HEADINGS: Final = ("state", "rule", "of", "severity", "health", "since", "reason")


def show_alerts(alerts: Sequence[Mapping[str, Any]], screen: Console) -> None:
    """Every alert, in the order given; or what to do where there is none."""
    if not alerts:
        screen.print("No rule has been looked at yet: a running collector does so every few seconds (outlay up).")
        return
    rows = [
        [
            alert["state"],
            alert["rule"],
            group_text(alert["group"]),
            alert["severity"],
            alert["health"],
            alert["since"],
            alert["reason"],
        ]
        for alert in alerts
    ]
    screen.print(table([(heading, False) for heading in _HEADINGS], rows))


def show_history(transitions: Sequence[Mapping[str, Any]], screen: Console) -> None:
    """Transitions, and who was told of them."""
    if not transitions:
        screen.print("Nothing has fired.")
        return
    rows = [
        [
            each["at"],
            each["rule"],
            group_text(each["group"]),
            f"{each['from']} -> {each['to']}",
            each["reason"],
            "; ".join(_delivery(delivery) for delivery in each["deliveries"]),
        ]
        for each in transitions
    ]
    screen.print(table([(heading, False) for heading in ("at", "rule", "of", "change", "reason", "told")], rows))


def show_silences(silences: Sequence[Mapping[str, Any]], screen: Console) -> None:
    """What is held back, and until when."""
    if not silences:
        screen.print("Nothing is silenced. For two hours: outlay alerts silence rule=errors provider=openai --for 2h")
        return
    rows = [
        [str(each["id"]), group_text(each["match"]), each["starts_at"], each["ends_at"], each["comment"]]
        for each in silences
    ]
    screen.print(table([(heading, False) for heading in ("number", "match", "from", "until", "comment")], rows))


def _delivery(delivery: Mapping[str, Any]) -> str:
    error = f" ({delivery['error']})" if delivery["error"] else ""
    tries = f" after {delivery['attempts']} tries" if delivery["attempts"] > 1 else ""
    return f"{delivery['channel']} {delivery['status']}{tries}{error}"


def group_text(group: Mapping[str, str | None]) -> str:
    """`provider=openai, feature=chat`."""
    return ", ".join(f"{name}={'(none)' if value is None else value}" for name, value in group.items())
