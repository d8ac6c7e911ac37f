"""Tells people: what is due, silenced or not, sent, tried again, reminded of; every try recorded.

Delivery is at least once. A delivery is claimed in the store before it is sent and recorded after; a process that dies
between the two lets go when its claim runs out, and the message is sent again. Nothing is lost by a restart.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final

from outlay_alerts.config import Channel
from outlay_alerts.message import compose
from outlay_alerts.records import Delivery, DeliveryStatus, Outbox
from outlay_alerts.rules import Rule
from outlay_alerts.silence import Silence, silenced

if TYPE_CHECKING:
    from outlay_alerts.channels import TransportError

logger = logging.getLogger(__name__)

CLAIM_FOR: Final = timedelta(minutes=1)
"""Longer than a send can take."""
FIRST_RETRY: Final = timedelta(seconds=10)
LONGEST_RETRY: Final = timedelta(minutes=15)
GIVE_UP_AFTER: Final = timedelta(hours=24)
_SENDERS: Final = 8


def retry_after(attempts: int) -> timedelta:
    """How long to wait after that many failed tries: 10 s, 20 s, 40 s, ... at most 15 min."""
    doublings = min(attempts - 1, 20)
    return min(FIRST_RETRY * (1 << doublings), LONGEST_RETRY)


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Sends what is due in an outbox. `clock` gives aware UTC."""

    rules: Sequence[Rule]
    channels: Sequence[Channel]
    outbox: Outbox
    clock: Callable[[], datetime]

    def run(self) -> int:
        """Sends everything that is due now, each rule's deliveries to a channel as one message. Returns how many
        messages were taken. Raises only what the outbox raises."""
        now = self.clock()
        silences = self.outbox.silences(now)
        for told in self.outbox.last_told():
            if self._reminder_is_due(told, silences, now):
                self.outbox.remind(told, now)
        due = sorted(self.outbox.due(now), key=_together)
        batches = [list(batch) for _, batch in groupby(due, key=_together)]
        if not batches:
            return 0
        with ThreadPoolExecutor(min(_SENDERS, len(batches)), thread_name_prefix="outlay-alerts-send") as senders:
            return sum(senders.map(lambda batch: self._deliver(batch, silences), batches))

    def _reminder_is_due(self, told: Delivery, silences: Sequence[Silence], now: datetime) -> bool:
        """After the rule's interval; or as soon as the silence is over that held the last telling back."""
        rule = self._rule(told.transition.rule)
        if rule is None or told.status is DeliveryStatus.PENDING or self._channel(told.channel) is None:
            return False
        if silenced(told.transition, silences, now):
            return False
        return told.status is DeliveryStatus.SILENCED or now - told.at >= rule.repeat

    def _deliver(self, batch: Sequence[Delivery], silences: Sequence[Silence]) -> bool:
        """One message: the deliveries of one rule to one channel. True where it was taken."""
        from outlay_alerts.channels import TransportError, send  # brings Apprise, which takes 0.4 s to import

        now = self.clock()
        held = self.outbox.claim(batch, now + CLAIM_FOR, now)
        quiet = [delivery for delivery in held if silenced(delivery.transition, silences, now)]
        self._record(quiet, DeliveryStatus.SILENCED)
        aloud = [delivery for delivery in held if delivery not in quiet]
        if not aloud:
            return False
        channel = self._channel(aloud[0].channel)
        if channel is None:
            self._record(aloud, DeliveryStatus.FAILED, "the channel is no longer configured")
            return False
        tried = [replace(delivery, attempts=delivery.attempts + 1) for delivery in aloud]
        try:
            send(channel.url.get_secret_value(), compose(aloud, self._rule(aloud[0].transition.rule)))
        except TransportError as error:
            self._record_failure(tried, error)
            return False
        self._record(tried, DeliveryStatus.DELIVERED)
        return True

    def _record_failure(self, tried: Sequence[Delivery], error: TransportError) -> None:
        now = self.clock()
        logger.warning("channel %s did not take a message: %s", tried[0].channel, error)
        for delivery in tried:
            if error.permanent or now - delivery.created_at >= GIVE_UP_AFTER:
                self._record([delivery], DeliveryStatus.FAILED, str(error))
            else:
                due_at = now + retry_after(delivery.attempts)
                self.outbox.record([replace(delivery, error=str(error), at=due_at)])

    def _record(self, deliveries: Sequence[Delivery], status: DeliveryStatus, error: str | None = None) -> None:
        now = self.clock()
        self.outbox.record([replace(delivery, status=status, error=error, at=now) for delivery in deliveries])

    def _rule(self, name: str) -> Rule | None:
        return next((rule for rule in self.rules if rule.name == name), None)

    def _channel(self, name: str) -> Channel | None:
        return next((channel for channel in self.channels if channel.name == name), None)


def _together(delivery: Delivery) -> tuple[str, str]:
    return delivery.channel, delivery.transition.rule
