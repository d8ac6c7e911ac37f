"""What the calls of a process share: prices, budgets, who is spending, and the way to the collector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from opentelemetry import trace

from outlay import attributes as at
from outlay import baggage
from outlay.budgets.gate import FREE, Gate
from outlay.context import current
from outlay.emit import AttributeValue
from outlay.export import Delivery, Finished
from outlay.fetched import Told
from outlay.guard import shielded
from outlay.live import LiveCall
from outlay.model import Attribution, Call
from outlay.prices import PriceBook
from outlay.settings import Settings
from outlay.spans import SpanIds
from outlay.unbilled import is_free

_MOST_UNREAD: Final = 64
"""How many answers may wait in memory to be read."""


class Runtime:
    """Made by `instrument()`, closed by `uninstrument()`. A closed one lets every call pass unseen."""

    def __init__(self, settings: Settings, book: PriceBook, gate: Gate, delivery: Delivery) -> None:
        self.settings: Final = settings
        self.book: Final = book
        self.gate: Final = gate
        self.delivery: Final = delivery
        self.refusing_usage: Final[set[str]] = set()
        """Hosts that turned a request down because it asked for the usage of a stream."""
        self.told: Final = Told()
        """Responses that were fetched when they were done, and reported."""
        self.is_active = True
        self._attributed: tuple[Attribution, Attribution] | None = None

    def attribution(self) -> Attribution:
        """What the context says, with the service and environment of the process."""
        said, known = current(), self._attributed
        if baggage.carried:
            said = baggage.completed(said)
        if known is not None and known[0] is said:
            return known[1]
        resource = getattr(getattr(trace.get_tracer_provider(), "resource", None), "attributes", {})
        whole = replace(
            said,
            service=self.settings.service or _known(resource.get(at.SERVICE)),
            environment=self.settings.environment or _known(resource.get(at.ENVIRONMENT)),
        )
        self._attributed = (said, whole)
        return whole

    def over(self, live: LiveCall, *, is_collecting: bool) -> None:
        """See to what follows from a call's end: at once where a budget or the application's own span waits for it.
        Else a thread does many together, which takes a third of the time, and none of the application's."""
        self.delivery.tally.ended(live.ticket)
        if not is_collecting and (live.reservation is not FREE or live.span.is_recorded):
            live.conclude()
            return
        left = self.delivery.do_later(live.conclude)
        if left > _MOST_UNREAD and not is_collecting:
            self.delivery.catch_up()

    def report_live(self, live: LiveCall, call: Call) -> None:
        """Settle and report a call. One part's failure does not keep the others from being done."""
        if live.reservation is not FREE:
            _settle(live, call)
        told = _tell_tracer(live, call) if live.span.is_recorded else None
        self.delivery.put(Finished(call, live.span.ids, live.ticket, told))

    def report(self, call: Call, ids: SpanIds) -> None:
        """Leave a call that was made elsewhere for delivery."""
        self.delivery.put(Finished(call, ids))

    def close(self) -> None:
        self.is_active = False
        self.delivery.close()
        close_gate = getattr(self.gate, "close", None)
        if close_gate is not None:
            shielded(close_gate)()


@shielded
def _settle(live: LiveCall, call: Call) -> None:
    cost = None if is_free(call.cost) else call.cost
    live.reservation.settle(cost, call.usage, live.span.ids.hex())


@shielded
def _tell_tracer(live: LiveCall, call: Call) -> Mapping[str, AttributeValue] | None:
    return live.span.tell(call)


def _known(service: Any) -> str | None:
    """A resource's value, None for the name OpenTelemetry's SDK makes up where nobody gave one."""
    return service if isinstance(service, str) and not service.startswith("unknown_service") else None
