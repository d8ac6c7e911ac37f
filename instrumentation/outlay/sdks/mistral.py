"""Mistral: one wrapper at `BaseSDK.do_request`, which `speakeasy` has.

Chat, `parse`, fim, agents, conversations, embeddings, OCR, moderation, classification and audio all go through it, and
so do the flavours for Azure and Google Cloud.
Checked against mistralai 3.0.0 and 3.7.0, `client/basesdk.py`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from outlay.guard import shielded
from outlay.intercept import Interception
from outlay.live import LiveCall
from outlay.patches import Patches
from outlay.providers.foreign import is_mapping
from outlay.providers.routes import CONVERSATION
from outlay.runtime import Runtime
from outlay.sdks.speakeasy import ChokePoint
from outlay.under_way import under_way

if TYPE_CHECKING:
    from outlay.sdks import Sdk


def patch(patches: Patches, sdk: Sdk, runtime: Runtime, module: ModuleType) -> None:
    """Put the wrappers in place in a module of the choke point, or silence the SDK's own spans."""
    # Its hook makes a span with usage where the application traces; one call would be two.
    patches.replace(module, "get_traced_request_and_span", _silence)
    base = getattr(module, "BaseSDK", None)
    if base is not None:
        point = ChokePoint(functools.partial(_start, Interception(runtime, sdk.provider)))
        patches.replace(base, "do_request", point.wrap)
        patches.replace(base, "do_request_async", point.wrap_async)


@shielded
def _start(interception: Interception, request: Any) -> LiveCall | None:
    """The call this request is, None where it is not billed. Raises `BudgetExceeded` where a budget forbids it."""
    if request.method != "POST":
        return None
    path: str = request.url.path
    body = _body_of(request)
    if "inputs" in body and CONVERSATION.search(path):
        path = "/v1/agents/completions"
    return interception.begin(path, request.url.host, body)


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
