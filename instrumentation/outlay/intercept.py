"""The logical call, whichever SDK makes it: begun before a request is sent, under way while it is.

The wrappers of `sdks` know their SDK: where its requests go through and what its answers are. What every one of them
does around a request stands here: whether it is a call, what its budgets say, whose attempts are whose.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from types import TracebackType
from typing import Any, Final

from opentelemetry import context as otel_context

from outlay import response_cache
from outlay.budgets.gate import FREE, Asking
from outlay.budgets.waiting import in_thread, is_interruptible, waited_for
from outlay.content import ContentMode
from outlay.errors import BudgetExceeded
from outlay.fetched import FetchedCall
from outlay.guard import report, shielded
from outlay.live import LiveCall
from outlay.neighbours import context_while_sending
from outlay.providers.base import Request
from outlay.providers.registry import provider_of_host, reader_for
from outlay.providers.routes import is_fetched
from outlay.runtime import Runtime
from outlay.spans import UnseenSpan, open_span
from outlay.under_way import under_way


class Interception:
    """What the wrappers of one SDK have in common. `provider` speaks behind an address nobody knows."""

    def __init__(self, runtime: Runtime, provider: str) -> None:
        self.runtime: Final = runtime
        self._provider = provider

    def begin(self, path: str, host: str, body: Mapping[str, Any], provider: str | None = None) -> LiveCall | None:
        """The call a request is, None where it is not billed. `path` is the request's, or its whole address; `provider`
        is known where the host does not say it. Raises `BudgetExceeded` where a budget is known to forbid the call;
        where the collector has to be asked first, `Sending` does."""
        runtime = self.runtime
        if not runtime.is_active:
            return None
        known = provider or _provider(host)
        name = known or self._provider
        reader = _reader(name)
        request = reader.read_request(path, body)
        if request is None:
            return None
        attribution = runtime.attribution()
        if not runtime.delivery.is_started:
            runtime.delivery.start()
        reservation = runtime.gate.begin(name, request, attribution)
        started_at_ns = time.time_ns()
        span = open_span(name, request, started_at_ns)
        call = LiveCall(runtime, name, reader, request, attribution, reservation, span, started_at_ns, host)
        call.is_guessed = known is None
        call.response_cache = response_cache.current()
        if runtime.settings.content.mode is not ContentMode.OFF:
            _take_down(call, body)
        return call

    def begin_fetching(self, path: str, host: str, *, streamed: bool, provider: str | None = None) -> LiveCall | None:
        """The call whose answer a request fetches, None where it fetches something else. Nothing is reserved: what it
        costs has been spent."""
        runtime = self.runtime
        if not runtime.is_active or not is_fetched(path):
            return None
        name = provider or _provider(host) or self._provider
        request = Request(operation="video_generation" if "/videos/" in path else "chat", model=None, streamed=streamed)
        runtime.delivery.start()
        started_at_ns = time.time_ns()
        who, span = runtime.attribution(), UnseenSpan()
        return FetchedCall(runtime, name, _reader(name), request, who, FREE, span, started_at_ns, host)


class Sending:
    """While the SDK sends: attempts are the call's, and spans that begin meanwhile are below its own. An error that
    leaves ends the call.

    Enters once the call's budgets have let it pass: with `with` in this thread, with `async with` while the event loop
    goes on. Raises `BudgetExceeded`."""

    __slots__ = ("_call", "_context", "_under_way")

    def __init__(self, call: LiveCall) -> None:
        self._call = call

    def __enter__(self) -> None:
        if isinstance(asking := self._call.reservation, Asking):
            _ask(self._call, asking)
        call = self._call
        self._under_way = under_way.set(call)
        self._context = otel_context.attach(context_while_sending(call.span.span, call.span.began_in))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        call = self._call
        call.sender = 0
        try:
            under_way.reset(self._under_way)
        except ValueError:  # dropped while it waited, and closed by the garbage collector in a context of another's
            pass
        else:
            otel_context.detach(self._context)
        if error is not None:
            _failed(call, error, is_collecting=kind is GeneratorExit)

    async def __aenter__(self) -> None:
        if isinstance(asking := self._call.reservation, Asking):
            await _ask_in_thread(self._call, asking)
        self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace_)


def _ask(call: LiveCall, asking: Asking) -> None:
    call.reservation = FREE
    try:
        ask = waited_for(asking.ask).result if is_interruptible() else asking.ask
    except BaseException:
        call.abandon()
        raise
    try:
        call.reservation = ask()
    except BaseException as error:  # noqa: BLE001 - told apart there
        _not_asked(call, error)
    finally:
        del ask  # it holds the error, and the error this frame


async def _ask_in_thread(call: LiveCall, asking: Asking) -> None:
    call.reservation = FREE
    try:
        call.reservation = await in_thread(asking.ask)
    except BaseException as error:  # noqa: BLE001 - told apart there
        _not_asked(call, error)


def _not_asked(call: LiveCall, error: BaseException) -> None:
    """A failure of ours lets the call pass. Where it is refused, or whoever waits is cancelled, there is no call."""
    if isinstance(error, Exception) and not isinstance(error, BudgetExceeded):
        report("asking for budgets", error)
        return
    call.abandon()
    raise error


_failed = shielded(LiveCall.end)
_take_down = shielded(LiveCall.take_down)
_provider = lru_cache(maxsize=256)(provider_of_host)
_reader = lru_cache(maxsize=256)(reader_for)
