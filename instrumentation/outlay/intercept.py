"""The logical call: one wrapper at each SDK's choke point, through which every request of every method goes.

`request` contains the SDK's retries, so that it is one call however many attempts it takes; `_process_response_data`
is given every decoded body and every event of a stream. Which method of which resource was called does not matter.
Checked against openai 3.52.0 and anthropic 2.11.0, `_base_client.py` of each.
"""

from __future__ import annotations

import copy
import functools
import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType, TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry import context as otel_context
from opentelemetry import trace

from outlay.body import Body
from outlay.guard import shielded
from outlay.live import LiveCall
from outlay.patches import Patches
from outlay.providers.foreign import is_mapping
from outlay.providers.registry import provider_of_host, reader_for
from outlay.runtime import Runtime
from outlay.spans import open_span
from outlay.stream import AsyncTap, Tap, Watch
from outlay.transport import MARK, under_way

_RAW: Final = "X-Stainless-Raw-Response"
_REFUSALS: Final = (400, 422)


@dataclass(frozen=True, slots=True)
class Sdk:
    """An SDK Outlay knows: its distribution, the oldest version of it, the module of its choke point, and the provider
    that speaks behind an address nobody knows (a gateway, this machine)."""

    name: str
    distribution: str
    oldest: tuple[int, int]
    module: str
    provider: str


SDKS: Final = {
    sdk.name: sdk
    for sdk in (
        Sdk("openai", "openai", (2, 0), "openai._base_client", "openai"),
        Sdk("anthropic", "anthropic", (1, 0), "anthropic._base_client", "anthropic"),
    )
}


def patch_sdk(patches: Patches, sdk: Sdk, runtime: Runtime, module: ModuleType) -> None:
    """Put the wrappers in place in the module of the choke point."""
    point = _ChokePoint(sdk, runtime, (module.Stream, module.AsyncStream))
    patches.replace(module.SyncAPIClient, "request", point.wrap)
    patches.replace(module.AsyncAPIClient, "request", point.wrap_async)
    patches.replace(module.BaseClient, "_process_response_data", _wrap_decoder)
    # Anthropic from 2.0 on traces itself; one call would be two spans.
    patches.replace(module, "start_api_call_span", _silence)


class _ChokePoint:
    """The wrappers of one SDK."""

    def __init__(self, sdk: Sdk, runtime: Runtime, streams: tuple[type, type]) -> None:
        self._sdk = sdk
        self._runtime = runtime
        self._streams = streams

    def wrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def request(client: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
            call = self._start(client, options)
            if call is None:
                return original(client, cast_to, options, *args, **kwargs)
            with _Sending(call):
                refused = None
                try:
                    result = original(client, cast_to, _to_send(call, options), *args, **kwargs)
                except Exception as error:
                    refused = self._refuses_usage(call, error)
                    if not refused:
                        raise
                if refused:
                    result = original(client, cast_to, options, *args, **kwargs)
            self._answered(call, options, result)
            return result

        return request

    def wrap_async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def request(client: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
            call = self._start(client, options)
            if call is None:
                return await original(client, cast_to, options, *args, **kwargs)
            with _Sending(call):
                refused = None
                try:
                    result = await original(client, cast_to, _to_send(call, options), *args, **kwargs)
                except Exception as error:
                    refused = self._refuses_usage(call, error)
                    if not refused:
                        raise
                if refused:
                    result = await original(client, cast_to, options, *args, **kwargs)
            self._answered(call, options, result)
            return result

        return request

    @shielded
    def _start(self, client: Any, options: Any) -> LiveCall | None:
        """The call this request is, None where it is not billed. Raises `BudgetExceeded` where a budget forbids it."""
        runtime = self._runtime
        if not runtime.is_active or options.method.lower() != "post":
            return None
        url: str = options.url
        host: str = client.base_url.host if url.startswith("/") else urlsplit(url).hostname or client.base_url.host
        provider = _provider(host) or self._sdk.provider
        reader = _reader(provider)
        request = reader.read_request(url, _body_of(options))
        if request is None:
            return None
        attribution = runtime.attribution()
        asks_for_usage = request.streamed and host not in runtime.refusing_usage and _may_ask_for_usage(options)
        runtime.delivery.start()
        reservation = runtime.gate.reserve(provider, request, attribution)
        started_at_ns = time.time_ns()
        span = open_span(provider, request, started_at_ns)
        call = LiveCall(runtime, provider, reader, request, attribution, reservation, span, started_at_ns, host)
        call.asks_for_usage = asks_for_usage
        return call

    @shielded
    def _refuses_usage(self, call: LiveCall, error: Exception) -> bool:
        """Whether the request was turned down for the one thing that was added to it. It is then sent as it was made,
        and the host not asked again."""
        if not call.asks_for_usage or getattr(error, "status_code", None) not in _REFUSALS:
            return False
        if "stream_options" not in str(error) and "include_usage" not in str(error):
            return False
        call.asks_for_usage = False
        self._runtime.refusing_usage.add(call.server_address)
        return True

    @shielded
    def _answered(self, call: LiveCall, options: Any, result: Any) -> None:
        """The SDK has returned: the call is over, unless its body is still to come."""
        if isinstance(result, self._streams):
            call.start_stream()
            chunks: Any = result
            tap = AsyncTap if isinstance(result, self._streams[1]) else Tap
            chunks._iterator = tap(chunks._iterator, call)
        elif not call.was_sent:
            call.abandon()  # answered by the application's own middleware
        elif not (_is_raw(options) and _read_raw(call, result)):
            call.end()


def _may_ask_for_usage(options: Any) -> bool:
    """Chat streams of OpenAI's format only say what they used where they are asked to. What is taken raw is not ours
    to add to."""
    if not options.url.endswith("/chat/completions") or _is_raw(options) or not isinstance(options.json_data, Mapping):
        return False
    asked = _body_of(options).get("stream_options")
    return asked is None or (isinstance(asked, Mapping) and not asked.get("include_usage"))


def _to_send(call: LiveCall, options: Any) -> Any:
    """The options as they are, or a copy that asks for the usage of the stream."""
    if not call.asks_for_usage:
        return options
    options = copy.copy(options)
    asked = _body_of(options).get("stream_options") or {}
    options.json_data = {**options.json_data, "stream_options": {**asked, "include_usage": True}}
    return options


def _read_raw(call: LiveCall, result: Any) -> bool:
    """Read what the application takes undecoded. True where its body is still to come, and the call to end."""
    response = getattr(result, "http_response", None)
    if response is None:
        return False
    body = Body(response.headers.get("content-type", ""))
    if body.is_events:
        call.start_stream()
    if response.is_closed:
        for value in (*body.feed(response.content), *body.finish()):
            call.payload(value)
        return False
    call.body = body
    response._outlay_watch = Watch(call)
    return True


class _Sending:
    """While the SDK sends: attempts are the call's, and spans that begin meanwhile are below its own."""

    __slots__ = ("_call", "_context", "_under_way")

    def __init__(self, call: LiveCall) -> None:
        self._call = call

    def __enter__(self) -> None:
        self._under_way = under_way.set(self._call)
        self._context = otel_context.attach(trace.set_span_in_context(self._call.span.span))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        otel_context.detach(self._context)
        under_way.reset(self._under_way)
        if error is not None:
            _failed(self._call, error)


_failed = shielded(LiveCall.end)


def _wrap_decoder(original: Callable[..., Any]) -> Callable[..., Any]:
    """Runs at every chunk of every stream: naming what is passed on takes half the time of passing all on unnamed."""
    if not inspect.signature(original).parameters.keys() >= {"data", "response"}:
        return original

    @functools.wraps(original)
    def decode(client: Any, *, data: Any, response: Any, **rest: Any) -> Any:
        call = getattr(response, MARK, None)
        if call is not None and call.body is None:
            call.payload(data)
        return original(client, data=data, response=response, **rest)

    return decode


def _silence(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def start(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs) if under_way.get() is None else None

    return start


_provider = lru_cache(maxsize=256)(provider_of_host)
_reader = lru_cache(maxsize=256)(reader_for)


def _body_of(options: Any) -> Mapping[str, Any]:
    body, extra = options.json_data, options.extra_json
    if extra:
        return {**body, **extra} if is_mapping(body) else extra
    return body if is_mapping(body) else {}


def _is_raw(options: Any) -> bool:
    headers = options.headers
    return isinstance(headers, Mapping) and _RAW in headers
