"""OpenAI and Anthropic: one wrapper at each SDK's choke point, through which every request of every method goes.

`request` contains the SDK's retries, so that it is one call however many attempts it takes; `_process_response_data`
is given every decoded body and every event of a stream. Which method of which resource was called does not matter.
Checked against openai 3.52.0 and anthropic 2.11.0, `_base_client.py` of each: one generator (Stainless) writes both.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from outlay.guard import report, shielded
from outlay.intercept import Interception, Sending
from outlay.live import LiveCall
from outlay.model import StreamEnd
from outlay.patches import Patches
from outlay.providers.foreign import NOTHING, is_mapping
from outlay.providers.names import canonical_provider
from outlay.providers.routes import is_fetched
from outlay.providers.sse import decode_sse
from outlay.runtime import Runtime
from outlay.sdks import websockets
from outlay.sdks.undecoded import read
from outlay.stream import AsyncTap, tap
from outlay.transport import MARK
from outlay.under_way import under_way

if TYPE_CHECKING:
    from outlay.sdks import Sdk

_RAW: Final = "X-Stainless-Raw-Response"
_REFUSALS: Final = (400, 422)
_ADDRESS_KEEPERS: Final = ("openai._client", "openai._base_client", "anthropic._base_client")
"""Modules of the clients whose `base_url` is `_base_url`. That of `openai` itself, for one, looks at a global first."""
_UNSAID: Final[set[type]] = set()
"""What the SDKs put where a field was not given."""
_PLATFORMS: Final = {
    "BaseAzureClient": "azure",
    "BaseBedrockClient": "bedrock",
    "BaseMantleClient": "bedrock",
    "BaseVertexClient": "google-vertex",
    "BaseFoundryClient": "azure",
    "BedrockOpenAI": "bedrock",
    "AsyncBedrockOpenAI": "bedrock",
}
"""Classes of the clients of platforms that resell the makers' models. AnthropicAWS and AnthropicGoogleCloud are none:
there Anthropic itself serves and bills."""


def patch(patches: Patches, sdk: Sdk, runtime: Runtime, module: ModuleType) -> None:
    """Put the wrappers in place in the module of the choke point, or in one of connections."""
    if module.__name__ in websockets.MODULES:
        websockets.patch(patches, runtime, module)
        return
    point = _ChokePoint(Interception(runtime, sdk.provider), (module.Stream, module.AsyncStream))
    _UNSAID.update((module.Omit, module.NotGiven))
    for base, wrap in ((module.SyncAPIClient, point.wrap), (module.AsyncAPIClient, point.wrap_async)):
        # Others who wrap `request` leave theirs on a subclass, in front of the base's.
        for client in (base, *_heirs(base)):
            patches.replace(client, "request", wrap)
    patches.replace(module.BaseClient, "_process_response_data", _wrap_decoder)
    # Anthropic from 2.0 on traces itself; one call would be two spans.
    patches.replace(module, "start_api_call_span", _silence)


def _heirs(client: type[Any]) -> Iterator[type[Any]]:
    for heir in client.__subclasses__():
        yield heir
        yield from _heirs(heir)


class _ChokePoint:
    """The wrappers of one SDK."""

    def __init__(self, interception: Interception, streams: tuple[type, type]) -> None:
        self._interception = interception
        self._refusing_usage = interception.runtime.refusing_usage
        self._streams = streams

    def wrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def request(client: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
            call = self._start(client, options)
            if call is None:
                return original(client, cast_to, options, *args, **kwargs)
            with Sending(call):
                refused = None
                try:
                    asked = _asking_for_usage(options) if call.asks_for_usage else options
                    result = original(client, cast_to, asked, *args, **kwargs)
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
            async with Sending(call):
                refused = None
                try:
                    asked = _asking_for_usage(options) if call.asks_for_usage else options
                    result = await original(client, cast_to, asked, *args, **kwargs)
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
        is_post = options.method.lower() == "post"
        url: str = options.url
        if not (is_post or is_fetched(url)):
            return None
        outer = under_way.get()
        if outer is not None and outer.sender == id(client):  # somebody else's wrapper stands between two of ours
            return None
        host = None if url.startswith("/") else urlsplit(url).hostname
        if host is None:
            host = (client._base_url if _keeps_address(client.__class__) else client.base_url).host
        platform, body = _platform(client), _body_of(options)
        call = self._interception.begin(url, host, body, platform) if is_post else None
        if call is None and is_fetched(url):
            streamed = is_mapping(options.params) and options.params.get("stream") is True
            call = self._interception.begin_fetching(url, host, streamed=streamed, provider=platform)
        if call is None:
            return None
        call.sender = id(client)
        if call.request.streamed:
            call.asks_for_usage = host not in self._refusing_usage and _may_ask_for_usage(options, body)
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
        self._refusing_usage.add(call.server_address)
        return True

    @shielded
    def _answered(self, call: LiveCall, options: Any, result: Any) -> None:
        """The SDK has returned: the call is over, unless its body is still to come."""
        if isinstance(result, self._streams):
            call.start_stream()
            chunks: Any = result
            tapped = AsyncTap if isinstance(result, self._streams[1]) else tap
            chunks._iterator = tapped(chunks._iterator, call)
        elif not call.was_sent:
            call.abandon()  # answered by the application's own middleware
        elif isinstance(result, str) and call.request.streamed:
            _read_text(call, result)
        elif not _read_raw(call, getattr(result, "http_response", None) if _is_raw(options) else result):
            call.end()


def _platform(client: Any) -> str | None:
    """Whose platform the client was made for, None where its address tells. `OpenAI(provider=bedrock())` carries what
    it was configured with, the others are classes of their own."""
    configured = getattr(client, "_provider_runtime", None)
    return _platform_of(client.__class__) if configured is None else canonical_provider(configured.name)


@lru_cache(maxsize=256)
def _platform_of(kind: type) -> str | None:
    return next((_PLATFORMS[base.__name__] for base in kind.__mro__ if base.__name__ in _PLATFORMS), None)


@lru_cache(maxsize=256)
def _keeps_address(kind: type) -> bool:
    """Whether its `base_url` gives what the client keeps, and nothing else: OpenAI's imports a module to."""
    return next(base for base in kind.__mro__ if "base_url" in vars(base)).__module__ in _ADDRESS_KEEPERS


def _may_ask_for_usage(options: Any, body: Mapping[str, Any]) -> bool:
    """Chat streams of OpenAI's format only say what they used where they are asked to. What is taken raw is not ours
    to add to."""
    if not options.url.endswith("/chat/completions") or _is_raw(options) or not isinstance(options.json_data, Mapping):
        return False
    asked = body.get("stream_options")
    return asked is None or (isinstance(asked, Mapping) and not asked.get("include_usage"))


def _asking_for_usage(options: Any) -> Any:
    """A copy of the options that asks for the usage of the stream."""
    options = copy.copy(options)
    asked = _body_of(options).get("stream_options") or {}
    options.json_data = {**options.json_data, "stream_options": {**asked, "include_usage": True}}
    return options


def _read_text(call: LiveCall, events: str) -> None:
    """A stream that the SDK was not asked to decode, and gave as the text it came as."""
    call.start_stream()
    for event in decode_sse(events):
        call.payload(event)
    call.end(None, StreamEnd.DRAINED)


def _read_raw(call: LiveCall, response: Any) -> bool:
    """Read what the application takes undecoded. True where its body is still to come, and the call to end. A decoded
    model is asked past its own `__getattr__`, which takes longer than all else here."""
    return getattr(response, "__dict__", NOTHING).get(MARK) is call and read(call, response)


def _wrap_decoder(original: Callable[..., Any]) -> Callable[..., Any]:
    """Runs at every chunk of every stream: naming what is passed on takes half the time of passing all on unnamed."""
    if not inspect.signature(original).parameters.keys() >= {"data", "cast_to", "response"}:
        return original

    @functools.wraps(original)
    def decode(client: Any, *, data: Any, cast_to: Any, response: Any, **rest: Any) -> Any:
        call = getattr(response, MARK, None)
        if call is not None:
            if call.feed is not None and type(data) is dict:
                try:
                    call.feed(data)
                except Exception as error:  # noqa: BLE001 - guarded here: a wrapper more would be felt at every chunk
                    report("feed", error)
            elif call.body is None:
                call.payload(data)
        if rest:
            return original(client, data=data, cast_to=cast_to, response=response, **rest)
        return original(client, data=data, cast_to=cast_to, response=response)

    return decode


def _silence(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def start(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs) if under_way.get() is None else None

    return start


def _body_of(options: Any) -> Mapping[str, Any]:
    """What the request says. Anthropic's body has every field there is, and most say nothing."""
    body, extra = options.json_data, options.extra_json
    if extra:
        body = {**body, **extra} if is_mapping(body) else extra
    return {name: value for name, value in body.items() if type(value) not in _UNSAID} if is_mapping(body) else {}


def _is_raw(options: Any) -> bool:
    headers = options.headers
    return is_mapping(headers) and _RAW in headers
