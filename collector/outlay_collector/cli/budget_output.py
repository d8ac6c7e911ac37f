"""Budgets as tables: how they stand, who spends and holds them, what they held back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console

from outlay_collector.cli.output import count, money, table

_NUMBERS: Final = ("limit", "spent", "leased", "remaining", "projected", "held back")
_HEADINGS: Final = ("budget", "of", "period", *_NUMBERS, "resets at", "state")


def show_budgets(document: Mapping[str, Any], screen: Console) -> None:
    """Every budget and scope, or how to set a first one."""
    if not document["definitions"]:
        screen.print("No budgets. Set one: outlay budgets set chat-daily --usd 5 --period day --match feature=chat")
        return
    _show_states(document["budgets"], screen)
    seen = {budget["name"] for budget in document["budgets"]}
    for each in document["definitions"]:
        if each["name"] not in seen:
            screen.print(f"{each['name']}: nothing spent yet by any {', '.join(each['per'])}")
        if (easing := each["easing"]) is not None:
            screen.print(f"{each['name']}: {_eased(each, easing)}; outlay budgets resume {each['name']}")


def show_budget(document: Mapping[str, Any], by: Sequence[str], screen: Console) -> None:
    """All there is to know of one."""
    definition = document["definition"]
    show_budgets({"budgets": document["budgets"], "definitions": [definition]}, screen)
    unit = next(iter(definition["limit"]))
    if document["spenders"]:
        rows = [
            [*(row[name] or "(none)" for name in by), count(row["calls"]), money(row["cost_usd"])]
            for row in document["spenders"]
        ]
        screen.print(table([*((name, False) for name in by), ("calls", True), ("cost", True)], rows))
    if document["holders"]:
        rows = [
            [each["holder"], scope_text(each["scope"]), amount(each["leased"], unit), each["expires_at"]]
            for each in document["holders"]
        ]
        screen.print(table([("held by", False), ("of", False), ("leased", True), ("until", False)], rows))
    if document["refusals"]:
        rows = [
            [
                each["at"],
                ", ".join(each["scope"]),
                each["reason"],
                ", ".join(f"{name}={each[name]}" for name in ("service", "feature", "user") if each[name]),
                f"{each['provider']}/{each['model']}",
                count(each["calls"]),
                money(each["avoided_usd"]),
            ]
            for each in document["refusals"]
        ]
        headings = ("held back at", "of", "why", "whose", "model", "calls", "avoided")
        screen.print(table([(heading, heading in ("calls", "avoided")) for heading in headings], rows))


def show_simulation(document: Mapping[str, Any], screen: Console) -> None:
    if not document["stopped"]:
        screen.print(f"Nothing since {document['from']} would have been stopped.")
        return
    headings = [("budget", False), ("of", False), ("calls stopped", True), ("their cost", True), ("first at", False)]
    rows = [
        [each["name"], scope_text(each["scope"]), count(each["calls"]), money(each["cost_usd"]), each["first_at"]]
        for each in document["stopped"]
    ]
    screen.print(table(headings, rows))


def scope_text(scope: Mapping[str, str]) -> str:
    return ", ".join(f"{dimension}={value}" for dimension, value in scope.items())


def amount(value: str | int | None, unit: str) -> str:
    """`$5.02`, `1,200 tokens`; empty for what is not known."""
    if value is None:
        return ""
    return money(str(value)) if unit == "usd" else f"{count(int(value))} {unit}"


def limit_text(limit: Mapping[str, str | int]) -> str:
    ((unit, value),) = limit.items()
    return amount(value, unit)


def _show_states(budgets: Sequence[Mapping[str, Any]], screen: Console) -> None:
    rows = [
        [
            budget["name"],
            scope_text(budget["scope"]),
            budget["period"],
            *(amount(budget[figure], budget["unit"]) for figure in _NUMBERS[:-1]),
            _held_back(budget),
            budget["resets_at"] or "",
            _state(budget),
        ]
        for budget in budgets
    ]
    screen.print(table([(heading, heading in _NUMBERS) for heading in _HEADINGS], rows))


def _held_back(budget: Mapping[str, Any]) -> str:
    if not budget["held_back_calls"]:
        return ""
    calls = "call" if budget["held_back_calls"] == 1 else "calls"
    avoided = "" if budget["avoided_usd"] is None else f", {money(budget['avoided_usd'])}"
    return f"{count(budget['held_back_calls'])} {calls}{avoided}"


def _state(budget: Mapping[str, Any]) -> str:
    words = [budget["state"]]
    if budget["paused"]:
        words.append("paused")
    elif budget["on_limit"] == "alert":
        words.append("tells only")
    if budget["exhausts_at"] is not None:
        words.append(f"gone {budget['exhausts_at'][:16]}Z")
    return ", ".join(words)


def _eased(definition: Mapping[str, Any], easing: Mapping[str, Any]) -> str:
    until = f" until {easing['until']}" if easing["until"] else ""
    if easing["limit"] is None:
        return f"paused{until}"
    return f"has {limit_text(easing['limit'])} in place of {limit_text(definition['limit'])}{until}"
