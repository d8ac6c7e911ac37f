"""What the calls of a process share: prices, budgets, who is spending, and the way to the collector."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from opentelemetry import trace

from outlay import attributes as at
from outlay.budgets.client import connect
from outlay.context import current
from outlay.export import Delivery, Finished
from outlay.guard import shielded
from outlay.live import LiveCall, is_free
from outlay.model import Attribution, Call
from outlay.prices import PriceBook
from outlay.settings import Settings
from outlay.spans import SpanIds


class Runtime:
    """Made by `instrument()`, closed by `uninstrument()`. A closed one lets every call pass unseen."""

    def __init__(self, settings: Settings, book: PriceBook) -> None:
        self.settings: Final = settings
        self.book: Final = book
        self.gate: Final = connect(settings.endpoint, settings.api_key, book, required=settings.budgets_required)
        self.delivery: Final = Delivery(settings, self._end_collected)
        self.refusing_usage: Final[set[str]] = set()
        """Hosts that turned a request down because it asked for the usage of a stream."""
        self.is_active = True
        self._collected: list[LiveCall] = []
        self._attributed: tuple[Attribution, Attribution] | None = None

    def attribution(self) -> Attribution:
        """What the context says, with the service and environment of the process."""
        said, known = current(), self._attributed
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

    def finish(self, live: LiveCall, call: Call) -> None:
        """Settle and report a call that has ended. One part's failure does not keep the others from being done."""
        _settle(live, call)
        _end_span(live, call)
        self.report(call, live.span.ids)

    def report(self, call: Call, ids: SpanIds) -> None:
        self.delivery.put(Finished(call, ids))

    def end_later(self, live: LiveCall) -> None:
        """Have the delivery's thread end the call. Safe wherever the garbage collector may strike."""
        self._collected.append(live)
        self.delivery.wake()

    def _end_collected(self) -> None:
        while self._collected:
            _end(self._collected.pop())

    def close(self) -> None:
        self.is_active = False
        self.delivery.close()
        close_gate = getattr(self.gate, "close", None)
        if close_gate is not None:
            shielded(close_gate)()


_end = shielded(LiveCall.end)


@shielded
def _settle(live: LiveCall, call: Call) -> None:
    cost = None if is_free(call.cost) else call.cost
    live.reservation.settle(cost, call.usage, live.span.ids.hex())


@shielded
def _end_span(live: LiveCall, call: Call) -> None:
    live.span.end(call)


def _known(service: Any) -> str | None:
    """A resource's value, None for the name OpenTelemetry's SDK makes up where nobody gave one."""
    return service if isinstance(service, str) and not service.startswith("unknown_service") else None
