"""Cohere: one wrapper at `HttpClient.request`, which contains the retries, and one at `HttpClient.stream`.

Chat, embed, rerank, classify, generate and summarize of the v1 and the v2 client go through them. What comes back is
the response; each method decodes it for itself, so that it is read from its bytes here.
Checked against cohere 7.3.1 and 5.8.0, `core/http_client.py` of each: one generator (Fern) writes all. In 5.6 there is
no second client yet and no `get_request_body`, which says what is sent; 5.0's `HttpClient` was given a whole URL.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from outlay.guard import shielded
from outlay.intercept import Interception, Sending
from outlay.live import LiveCall
from outlay.patches import Patches
from outlay.providers.foreign import is_mapping
from outlay.runtime import Runtime
from outlay.sdks.undecoded import answered

if TYPE_CHECKING:
    from outlay.sdks import Sdk

_BODY: Final = ("json", "data", "request_options", "omit")
"""What the SDK makes a body from."""


def patch(patches: Patches, sdk: Sdk, runtime: Runtime, module: ModuleType) -> None:
    """Put the wrappers in place in the module of the choke point."""
    point = _ChokePoint(Interception(runtime, sdk.provider), module.get_request_body)
    patches.replace(module.HttpClient, "request", point.wrap)
    patches.replace(module.HttpClient, "stream", point.wrap_stream)
    patches.replace(module.AsyncHttpClient, "request", point.wrap_async)
    patches.replace(module.AsyncHttpClient, "stream", point.wrap_async_stream)


class _ChokePoint:
    """The wrappers of the SDK. `body_of` is its own way from what a method was given to what is sent."""

    def __init__(self, interception: Interception, body_of: Callable[..., Any]) -> None:
        self._interception = interception
        self._body_of = body_of

    def wrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def request(client: Any, path: Any = None, **kwargs: Any) -> Any:
            call = self._start(client, path, kwargs)
            if call is None:
                return original(client, path, **kwargs)
            with Sending(call):
                response = original(client, path, **kwargs)
            answered(call, response)
            return response

        return request

    def wrap_async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def request(client: Any, path: Any = None, **kwargs: Any) -> Any:
            call = self._start(client, path, kwargs)
            if call is None:
                return await original(client, path, **kwargs)
            async with Sending(call):
                response = await original(client, path, **kwargs)
            answered(call, response)
            return response

        return request

    def wrap_stream(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        @contextmanager
        def stream(client: Any, path: Any = None, **kwargs: Any) -> Iterator[Any]:
            call = self._start(client, path, kwargs)
            with ExitStack() as stack:
                if call is None:
                    response = stack.enter_context(original(client, path, **kwargs))
                else:
                    with Sending(call):
                        response = stack.enter_context(original(client, path, **kwargs))
                    answered(call, response)
                yield response

        return stream

    def wrap_async_stream(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        @asynccontextmanager
        async def stream(client: Any, path: Any = None, **kwargs: Any) -> AsyncIterator[Any]:
            call = self._start(client, path, kwargs)
            async with AsyncExitStack() as stack:
                if call is None:
                    response = await stack.enter_async_context(original(client, path, **kwargs))
                else:
                    async with Sending(call):
                        response = await stack.enter_async_context(original(client, path, **kwargs))
                    answered(call, response)
                yield response

        return stream

    @shielded
    def _start(self, client: Any, path: str | None, given: Mapping[str, Any]) -> LiveCall | None:
        """The call this request is, None where it is not billed or a call's next attempt. Raises `BudgetExceeded`
        where a budget forbids it."""
        if given.get("method") != "POST" or given.get("retries"):
            return None
        body, form = self._body_of(**{name: given.get(name) for name in _BODY})
        host = urlsplit(client.get_base_url(given.get("base_url"))).hostname or ""
        said = next((each for each in (body, form) if is_mapping(each)), {})
        return self._interception.begin(path or "", host, said)
