"""Who comes to the sample application, when, and with what: decided by a seed alone, without a call.

A company's assistant with five features, three tenants and a dozen users, busier in office hours and on weekdays.
Its agent is the dearest thing it does, and one feature asks a model of the company's own that no price book knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

FEATURES: Final = {"chat": 45, "search": 20, "summarise": 18, "agent": 14, "labels": 3}
"""What is asked for, and how many visits in a hundred."""

CALLS: Final = {"agent": 3}
"""How many calls a visit makes, where it is not one."""

TENANTS: Final = {"acme": 50, "globex": 35, "initech": 15}
USERS_PER_TENANT: Final = 4
_HOURS: Final = (1, 1, 1, 1, 1, 2, 3, 5, 9, 12, 13, 12, 10, 12, 13, 12, 10, 8, 5, 4, 3, 2, 2, 1)
_WEEKDAYS: Final = (10, 11, 11, 10, 9, 3, 2)
_HALVED_H: Final = 48
"""Hours: so long ago the application, which is catching on, had half the visits it has now."""
_QUESTIONS: Final = (
    "How do I move an open order to another address?",
    "Why was my last invoice higher than the one before?",
    "Which of my seats has not been used this month?",
    "Can two teams share one plan, and who pays?",
    "What changes for us when the contract renews?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One visit: somebody uses a feature once. `ago` is how long before now it is to have been."""

    feature: str
    tenant: str
    user: str
    session: str
    question: str
    ago: timedelta = timedelta()


def visits(seed: int) -> Iterator[Visit]:
    """Visits without end, all of them now."""
    draw = Random(f"visits/{seed}")
    number = 0
    while True:
        number += 1
        tenant = _weighted(draw, TENANTS)
        user = f"{tenant}-{draw.randrange(USERS_PER_TENANT) + 1}"
        yield Visit(
            feature=_weighted(draw, FEATURES),
            tenant=tenant,
            user=user,
            session=f"{user}-{number // 3}",
            question=f"{draw.choice(_QUESTIONS)} Reference {number}.",
        )


def making(calls: int, seed: int) -> list[Visit]:
    """Visits that make that many calls between them, if nothing fails."""
    left = calls
    found = []
    for visit in visits(seed):
        if left == 0:
            break
        if (made := CALLS.get(visit.feature, 1)) <= left:
            found.append(visit)
            left -= made
    return found


def spread(count: int, days: int, now: datetime, seed: int) -> list[timedelta]:
    """How long ago each of `count` moments was, oldest first: within the last `days` days, and more of late."""
    draw = Random(f"moments/{seed}")
    now = now.astimezone(UTC)
    hours = [now - timedelta(hours=number) for number in range(1, days * 24 + 1)]
    weights = [
        _HOURS[hour.hour] * _WEEKDAYS[hour.weekday()] / (1 + age_h / _HALVED_H) for age_h, hour in enumerate(hours)
    ]
    begins = draw.choices(hours, weights, k=count)
    return sorted((now - begin - timedelta(seconds=draw.random() * 3600) for begin in begins), reverse=True)


def _weighted(draw: Random, weights: dict[str, int]) -> str:
    return draw.choices(list(weights), list(weights.values()))[0]
