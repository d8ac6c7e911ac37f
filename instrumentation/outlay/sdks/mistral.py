"""Mistral: one wrapper at `BaseSDK.do_request`, which builds nothing and decodes nothing, but contains the retries.

Chat, `parse`, fim, agents, conversations, embeddings, OCR, moderation, classification and audio all go through it, and
so do the flavours for Azure and Google Cloud. What comes back is the response; each method decodes it for itself, so
that it is read from its bytes here, and `EventStream` stays the application's own.
Checked against mistralai 3.7.0, `client/basesdk.py`, and 1.0.0, `basesdk.py`: one generator (Speakeasy) writes all.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from outlay.guard import shielded
from outlay.intercept import Interception, Sending
from outlay.live import LiveCall
from outlay.patches import Patches
from outlay.providers.foreign import is_mapping
from outlay.providers.routes import CONVERSATION
from outlay.runtime import Runtime
from outlay.sdks.undecoded import answered
from outlay.under_way import under_way

if TYPE_CHECKING:
    from outlay.sdks import Sdk


def patch(patches: Patches, sdk: Sdk, runtime: Runtime, module: ModuleType) -> None:
    """Put the wrappers in place in a module of the choke point, or silence the SDK's own spans."""
    # Its hook makes a span with usage where the application traces; one call would be two.
    patches.replace(module, "get_traced_request_and_span", _silence)
    base = getattr(module, "BaseSDK", None)
    if base is not None:
        point = _ChokePoint(Interception(runtime, sdk.provider))
        patches.replace(base, "do_request", point.wrap)
        patches.replace(base, "do_request_async", point.wrap_async)


class _ChokePoint:
    """The wrappers of one module."""

    def __init__(self, interception: Interception) -> None:
        self._interception = interception

    def wrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def do_request(sdk: Any, hook_ctx: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            call = self._start(request)
            if call is None:
                return original(sdk, hook_ctx, request, *args, **kwargs)
            with Sending(call):
                response = original(sdk, hook_ctx, request, *args, **kwargs)
            answered(call, response)
            return response

        return do_request

    def wrap_async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def do_request_async(sdk: Any, hook_ctx: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            call = self._start(request)
            if call is None:
                return await original(sdk, hook_ctx, request, *args, **kwargs)
            async with Sending(call):
                response = await original(sdk, hook_ctx, request, *args, **kwargs)
            answered(call, response)
            return response

        return do_request_async

    @shielded
    def _start(self, request: Any) -> LiveCall | None:
        """The call this request is, None where it is not billed. Raises `BudgetExceeded` where a budget forbids it."""
        if request.method != "POST":
            return None
        path: str = request.url.path
        body = _body_of(request)
        if "inputs" in body and CONVERSATION.search(path):
            path = "/v1/agents/completions"
        return self._interception.begin(path, request.url.host, body)


def _silence(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def traced(tracing_enabled: bool, *args: Any, **kwargs: Any) -> Any:
        return original(tracing_enabled and under_way.get() is None, *args, **kwargs)

    return traced


def _body_of(request: Any) -> Mapping[str, Any]:
    """What is asked for: the JSON of the body, or the plain fields of a form."""
    fields = getattr(request.stream, "fields", None)
    if fields is not None:
        return {field.name: field.value for field in fields if isinstance(getattr(field, "value", None), str)}
    body = json.loads(request.content or b"{}")
    return body if is_mapping(body) else {}
