"""The reports of a running collector: looks whether a period is over, and sends it once to each channel.

Everything it knows is in the database, so a restart sends neither twice nor not at all, and of several collectors on
one database one sends. Of periods missed while nothing ran only the last is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, Final

from outlay_alerts.config import Channel
from outlay_alerts.dispatch import CLAIM_FOR, GIVE_UP_AFTER, retry_after
from outlay_alerts.message import Message
from sqlalchemy import Engine, Row

from outlay_collector.background import repeated
from outlay_collector.periods import from_ns, to_ns
from outlay_collector.reports.letter import compose
from outlay_collector.reports.schedule import Period, ScheduledReport
from outlay_collector.settings import Settings
from outlay_collector.store.base import CallStore
from outlay_collector.store.query import UsageQuery, UsageRow
from outlay_collector.store.report_sends import Status, ask, claim, record

log = logging.getLogger(__name__)

EVERY_S: Final = 30.0
SETTLED_NS: Final = 300 * 1_000_000_000
"""How long after its end a period is sent: the last calls end, and their spans arrive."""
_END_WITHIN_S: Final = 5.0


def letter(store: CallStore, report: ScheduledReport, period: Period) -> Message:
    """The report of that period, from the figures the query API gives."""

    def spend(begin_ns: int, end_ns: int) -> list[UsageRow]:
        return store.usage(UsageQuery(from_ns=begin_ns, to_ns=end_ns, group_by=report.by))

    earlier = report.last_period(period.starts_at_ns)
    return compose(report, period, spend(*period), spend(*earlier))


class Reporting:
    """Reports, the channels they go to, and where they come from. `clock` gives nanoseconds since the epoch."""

    def __init__(
        self,
        store: CallStore,
        engine: Engine,
        reports: Sequence[ScheduledReport],
        channels: Sequence[Channel],
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._engine = engine
        self._reports = reports
        self._channels = channels
        self._clock = clock

    def run(self) -> int:
        """Sends what is due. Returns how many messages were taken."""
        return sum(self._send_due(report) for report in self._reports)

    def _send_due(self, report: ScheduledReport) -> int:
        now_ns = self._clock()
        period = report.last_period(now_ns - SETTLED_NS)
        first = self._store.first_call_at_ns()
        if first is None or first >= period.ends_at_ns:
            return 0  # there was nothing to report on yet
        channels = {channel.name: channel for channel in report.sent_to(self._channels)}
        until_ns = to_ns(from_ns(now_ns) + CLAIM_FOR * len(channels))
        with self._engine.begin() as connection:
            ask(connection, report.name, list(channels), period.starts_at_ns, now_ns)
            due = claim(connection, report.name, list(channels), period.starts_at_ns, now_ns, until_ns)
        if not due:
            return 0
        message = letter(self._store, report, period)
        return sum(self._send(channels[row.channel], message, row) for row in due)

    def _send(self, channel: Channel, message: Message, row: Row[Any]) -> bool:
        from outlay_alerts.channels import TransportError, send  # brings Apprise, which takes 0.4 s to import

        try:
            send(channel.url.get_secret_value(), message)
        except TransportError as error:
            log.warning("channel %s did not take report %s: %s", channel.name, row.report, error)
            tired = from_ns(self._clock()) - from_ns(row.created_at_ns) >= GIVE_UP_AFTER
            if error.permanent or tired:
                self._record(row, "failed", timedelta(0), str(error))
            else:
                self._record(row, "pending", retry_after(row.attempts + 1), str(error))
            return False
        self._record(row, "delivered", timedelta(0))
        return True

    def _record(self, row: Row[Any], status: Status, later: timedelta, error: str | None = None) -> None:
        with self._engine.begin() as connection:
            record(connection, row, status, to_ns(from_ns(self._clock()) + later), error)


def reporting(
    settings: Settings, store: CallStore, engine: Engine, clock: Callable[[], int]
) -> AbstractContextManager[None]:
    """Sends what is due every half minute while the block runs; nothing where no report is configured."""
    if not settings.reports:
        return nullcontext()
    work = Reporting(store, engine, settings.reports, settings.channels, clock)
    # A channel may take its time; what it then took is sent again.
    return repeated("reports", EVERY_S, lambda _stop: work.run(), at_once=True, end_within_s=_END_WITHIN_S)
