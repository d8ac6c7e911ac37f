"""What the sample application goes through: a past, a day on which a budget runs out, and then quiet traffic."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Final

import outlay

from outlay_collector.demo.application import Application
from outlay_collector.demo.past import AGO_TAG
from outlay_collector.demo.visits import Visit, making, spread, visits

TENANT_OVER_BUDGET: Final = "globex"
_VISITS_EACH: Final = 9
_QUIET_S: Final = 1.5


def past_visits(calls: int, days: int, now: datetime, seed: int) -> list[Visit]:
    """Visits making that many calls over the days before `now`, oldest first."""
    found = making(calls, seed)
    return [replace(visit, ago=ago) for visit, ago in zip(found, spread(len(found), days, now, seed), strict=True)]


async def live_through(application: Application, past: Iterable[Visit], done: Callable[[], None]) -> None:
    """Makes the calls of past visits; `past.past` moves them to their time."""

    @contextmanager
    def then(visit: Visit) -> Iterator[None]:
        with outlay.context(tags={AGO_TAG: str(visit.ago // timedelta(microseconds=1) * 1000)}):
            yield
        done()

    await application.serve(past, then)


async def overspend(application: Application) -> None:
    """Users of one tenant ask the agent, again and again, until its budget for the day is gone, and some more."""

    async def ask(user: str, number: int) -> None:
        question = f"Compare every clause of contract {number} with last year's, says {user}."
        await application.visit(
            Visit(feature="agent", tenant=TENANT_OVER_BUDGET, user=user, session=f"{user}-today", question=question)
        )

    async def insist(user: str) -> None:
        for number in range(_VISITS_EACH):
            await ask(user, number)

    first, second = f"{TENANT_OVER_BUDGET}-1", f"{TENANT_OVER_BUDGET}-2"
    await asyncio.gather(insist(first), insist(second))
    # Two calls at once may have held each other back; what one alone is refused there is no room for.
    blocked = application.outcomes["blocked"]
    for number in range(_VISITS_EACH, 3 * _VISITS_EACH):
        if application.outcomes["blocked"] > blocked:
            return
        await ask(first, number)


async def go_on(application: Application, seed: int, stopped: threading.Event) -> None:
    """A visit every second or two until `stopped` is set; in one of eight somebody leaves before the end."""
    draw = Random(f"quiet/{seed}")
    for number, visit in enumerate(visits(seed + 1), 1):
        if stopped.is_set():
            return
        await application.visit(visit if number % 8 else replace(visit, feature="drafts"))
        await asyncio.sleep(_QUIET_S * draw.uniform(0.5, 1.5))
