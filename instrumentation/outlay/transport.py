"""The attempts of a call: every request that leaves through httpx2 or httpx while a call is under way, but for those
that an SDK sends to get at its credentials.

Four methods are tapped: `send` sees each try and its answer; `close`, `iter_bytes` and `iter_raw` of the response tell
how a body ended that nobody decodes for us. Outside a call each costs one look at a context variable or an attribute.
"""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any, Final

from outlay.body import Body, EncodedBody
from outlay.guard import report, shielded
from outlay.live import LiveCall
from outlay.patches import Patches
from outlay.providers.routes import is_attempt
from outlay.stream import body_closed, tap_async_bytes, tap_bytes
from outlay.under_way import under_way

MODULES: Final = ("httpx2._client", "httpx._client")
MARK: Final = "_outlay_call"
"""The attribute of a response that holds its call."""

_failed = shielded(LiveCall.attempt_failed)
_closed = shielded(body_closed)


def _answered(call: LiveCall, response: Any, began_ns: int) -> None:
    try:
        headers = response.headers
        call.attempt_answered(response.status_code, headers, headers.raw, began_ns)
        setattr(response, MARK, call)
    except Exception as error:  # noqa: BLE001 - guarded here: a wrapper more would be felt at every call
        report("attempt", error)


def patch_transport(patches: Patches, module: ModuleType) -> None:
    """Tap the clients of that module."""
    patches.replace(module.Client, "send", _send)
    patches.replace(module.AsyncClient, "send", _async_send)
    response = module.Response
    patches.replace(response, "close", _close)
    patches.replace(response, "aclose", _aclose)
    patches.replace(response, "iter_bytes", _iter_bytes)
    patches.replace(response, "aiter_bytes", _aiter_bytes)
    patches.replace(response, "iter_raw", _iter_raw)
    patches.replace(response, "aiter_raw", _aiter_raw)


def _is_own(request: Any) -> bool:
    """Whether a request is made for an answer of a model. A token is fetched, or exchanged, inside a call."""
    return _is_attempt(request.url.raw_path)


_is_attempt = functools.lru_cache(maxsize=1024)(lambda raw_path: is_attempt(raw_path.decode("latin-1")))


def _send(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def send(self: Any, request: Any, **options: Any) -> Any:
        call = under_way.get()
        if call is None or not _is_own(request):
            return original(self, request, **options)
        began_ns = time.perf_counter_ns()
        try:
            response = original(self, request, **options)
        except BaseException as error:
            _failed(call, error, began_ns)
            raise
        _answered(call, response, began_ns)
        return response

    return send


def _async_send(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def send(self: Any, request: Any, **options: Any) -> Any:
        call = under_way.get()
        if call is None or not _is_own(request):
            return await original(self, request, **options)
        began_ns = time.perf_counter_ns()
        try:
            response = await original(self, request, **options)
        except BaseException as error:
            _failed(call, error, began_ns)
            raise
        _answered(call, response, began_ns)
        return response

    return send


def _close(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def close(self: Any) -> None:
        call = getattr(self, MARK, None)
        if call is not None and call.is_read_on_the_way:
            _closed(call)
        original(self)

    return close


def _aclose(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def aclose(self: Any) -> None:
        call = getattr(self, MARK, None)
        if call is not None and call.is_read_on_the_way:
            _closed(call)
        await original(self)

    return aclose


def _iter_bytes(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def iter_bytes(self: Any, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        chunks: Iterator[bytes] = original(self, *args, **kwargs)
        call = getattr(self, MARK, None)
        return chunks if call is None or call.body is None else tap_bytes(chunks, call)

    return iter_bytes


def _aiter_bytes(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def aiter_bytes(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[bytes]:
        chunks: AsyncIterator[bytes] = original(self, *args, **kwargs)
        call = getattr(self, MARK, None)
        return chunks if call is None or call.body is None else tap_async_bytes(chunks, call)

    return aiter_bytes


def _iter_raw(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def iter_raw(self: Any, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        pieces: Iterator[bytes] = original(self, *args, **kwargs)
        call = getattr(self, MARK, None)
        return tap_bytes(pieces, call) if call is not None and _takes_raw(call, self) else pieces

    return iter_raw


def _aiter_raw(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def aiter_raw(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[bytes]:
        pieces: AsyncIterator[bytes] = original(self, *args, **kwargs)
        call = getattr(self, MARK, None)
        return tap_async_bytes(pieces, call) if call is not None and _takes_raw(call, self) else pieces

    return aiter_raw


@shielded
def _takes_raw(call: LiveCall, response: Any) -> bool:
    """Whether the application takes the body as it was sent: then it is undone on the side. `iter_bytes` asks for raw
    pieces too, while it is being read."""
    if call.is_reading or not isinstance(call.body, Body):
        return False
    # The response keeps the decoder it makes for itself; asked in another's name it makes one more.
    decoder = type(response)._get_content_decoder(SimpleNamespace(headers=response.headers))
    call.body = EncodedBody(call.body, decoder)
    return True
