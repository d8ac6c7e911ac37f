"""google-genai: one wrapper at `_request`, which every method that asks a model goes through, of AI Studio and Vertex.

`_request` contains the retries (tenacity's), `_request_once` is one attempt. Four HTTP clients may make it: httpx2,
httpx, aiohttp where that is installed, and requests with a client certificate. So attempts are noted here, and the taps
of `transport` do not see them. Of a stream `segments` gives each chunk decoded; what the application iterates over
stays the SDK's own generator. `google_interactions` has the Interactions API, which is a client of its own.
Checked against google-genai 2.0.0 and 3.4.0, `_api_client.py`.
"""

from __future__ import annotations

import copy
import functools
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from outlay.guard import shielded
from outlay.headers import raw_headers
from outlay.intercept import Interception, Sending
from outlay.live import LiveCall
from outlay.patches import Patches
from outlay.providers.foreign import NOTHING, is_mapping, mapping, mappings, text
from outlay.runtime import Runtime
from outlay.sdks import google_interactions
from outlay.stream import AsyncTap, Watch, ended, tap
from outlay.under_way import under_way

if TYPE_CHECKING:
    from outlay.sdks import Sdk

_ERRORS: Final = "google.genai.errors"
_CALL: Final = "_outlay_call"
"""The attribute of a streamed `HttpResponse` that holds its call."""


def patch(patches: Patches, sdk: Sdk, runtime: Runtime, module: ModuleType) -> None:
    """Put the wrappers in place in the module of the choke point, or in that of the Interactions API."""
    if module.__name__ in google_interactions.MODULES:
        google_interactions.patch(patches, sdk, runtime, module)
        return
    point = _ChokePoint(Interception(runtime, sdk.provider))
    client, response = module.BaseApiClient, module.HttpResponse
    patches.replace(client, "_request", point.wrap)
    patches.replace(client, "_async_request", point.wrap_async)
    patches.replace(client, "_request_once", _wrap_attempt)
    patches.replace(client, "_async_request_once", _wrap_async_attempt)
    patches.replace(response, "segments", _wrap_chunks)
    patches.replace(response, "async_segments", _wrap_async_chunks)


class _ChokePoint:
    """The wrappers of the logical call."""

    def __init__(self, interception: Interception) -> None:
        self._interception = interception

    def wrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def _request(client: Any, http_request: Any, *args: Any, **kwargs: Any) -> Any:
            call = self._start(client, http_request)
            if call is None:
                return original(client, http_request, *args, **kwargs)
            with Sending(call):
                response = original(client, http_request, *args, **kwargs)
            _answered(call, response)
            return response

        return _request

    def wrap_async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def _async_request(client: Any, http_request: Any, *args: Any, **kwargs: Any) -> Any:
            call = self._start(client, http_request)
            if call is None:
                return await original(client, http_request, *args, **kwargs)
            async with Sending(call):
                response = await original(client, http_request, *args, **kwargs)
            _answered(call, response)
            return response

        return _async_request

    @shielded
    def _start(self, client: Any, http_request: Any) -> LiveCall | None:
        """The call this request is, None where it is not billed. Raises `BudgetExceeded` where a budget forbids it."""
        if http_request.method.lower() != "post":
            return None
        url, body = http_request.url, http_request.data
        provider = "google-vertex" if client.vertexai else None
        return self._interception.begin(
            url, urlsplit(url).hostname or "", body if is_mapping(body) else NOTHING, provider
        )


@shielded
def _answered(call: LiveCall, response: Any) -> None:
    """The SDK has its response: the call is over, unless its chunks are still to come."""
    came = response.response_stream
    if isinstance(came, list):
        if came:
            call.payload(came[0])
        call.end()
        return
    call.start_stream()
    setattr(response, _CALL, call)
    response._outlay_watch = Watch(call)


def _wrap_attempt(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def _request_once(client: Any, *args: Any, **kwargs: Any) -> Any:
        call = under_way.get()
        if call is None:
            return original(client, *args, **kwargs)
        with _Attempt(call) as attempt:
            attempt.response = response = original(client, *args, **kwargs)
        return response

    return _request_once


def _wrap_async_attempt(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def _async_request_once(client: Any, *args: Any, **kwargs: Any) -> Any:
        call = under_way.get()
        if call is None:
            return await original(client, *args, **kwargs)
        with _Attempt(call) as attempt:
            attempt.response = response = await original(client, *args, **kwargs)
        return response

    return _async_request_once


class _Attempt:
    """One try of the call, which the taps of the HTTP clients are not to count once more."""

    __slots__ = ("_began_ns", "_call", "_hidden", "response")

    def __init__(self, call: LiveCall) -> None:
        self._call = call
        self.response: Any = None

    def __enter__(self) -> _Attempt:
        self._hidden = under_way.set(None)
        self._began_ns = time.perf_counter_ns()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        under_way.reset(self._hidden)
        if error is None:
            _succeeded(self._call, self.response, self._began_ns)
        else:
            _failed(self._call, error, self._began_ns)


@shielded
def _succeeded(call: LiveCall, response: Any, began_ns: int) -> None:
    """The SDK takes 200 alone for an answer."""
    call.attempt_answered(200, response.headers, raw_headers(response.headers), began_ns)


@shielded
def _failed(call: LiveCall, error: BaseException, began_ns: int) -> None:
    """An `APIError` is an answer with a status; whatever else is raised is none."""
    headers = getattr(getattr(error, "response", None), "headers", None)
    status = getattr(error, "code", None)
    if headers is None or not isinstance(status, int):
        call.attempt_failed(error, began_ns)
        return
    delay = None if "retry-after" in headers else _delay_s(getattr(error, "details", None))
    said = headers if delay is None else {"retry-after": delay}
    call.attempt_answered(status, said, raw_headers(headers), began_ns)


def _delay_s(details: object) -> str | None:
    """How long Google asks to wait: it says so in the body, `google.rpc.RetryInfo`, and in no header."""
    for each in mappings(mapping(mapping(details).get("error")).get("details")):
        delay = text(each.get("retryDelay"))
        if delay and delay.endswith("s"):
            return delay[:-1]
    return None


def _wrap_chunks(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def segments(response: Any) -> Any:
        call = getattr(response, _CALL, None)
        return original(response) if call is None else _chunks(tap(original(response), call), call)

    return segments


def _wrap_async_chunks(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def async_segments(response: Any) -> Any:
        call = getattr(response, _CALL, None)
        if call is None:
            return original(response)
        # The response keeps what it iterates over, which keeps the response: a cycle, in which a dropped stream would
        # stay open, and its call with it, until the garbage collector comes by. So it iterates over a copy's.
        return _AsyncChunks(original(copy.copy(response)), call)

    return async_segments


def _chunks(decoded: Iterator[Any], call: LiveCall) -> Iterator[Any]:
    """The decoded chunks of a stream, each looked at."""
    for chunk in decoded:
        _look_at(call, chunk)
        yield chunk


class _AsyncChunks(AsyncTap):
    """`_chunks` for asynchronous streams."""

    __slots__ = ()

    async def __anext__(self) -> Any:
        chunk = await super().__anext__()
        _look_at(self._call, chunk)
        return chunk


def _look_at(call: LiveCall, chunk: Any) -> None:
    """A gateway that does not know `alt=sse` sends one list of all chunks."""
    for each in chunk if type(chunk) is list else (chunk,):
        call.payload(each)
        if type(each) is dict and "error" in each:
            _refused(call, each)


@shielded
def _refused(call: LiveCall, chunk: Mapping[str, Any]) -> None:
    """A chunk that begins with an error makes the SDK raise; ask it what."""
    if next(iter(chunk)) != "error":
        return
    errors = sys.modules[_ERRORS]
    try:
        errors.APIError.raise_error(chunk["error"].get("code"), chunk, None)
    except (errors.APIError, AttributeError, TypeError) as error:
        ended(call, error)
