"""LiteLLM: one wrapper at the `post` of the HTTP client it sends with, where it does not send through an SDK.

OpenAI, Azure and what speaks their API go through OpenAI's SDK, which is wrapped itself; Anthropic, Bedrock, Vertex,
Gemini, Mistral, Cohere and the rest through `HTTPHandler.post`. No request passes both, so that a call is counted once.
LiteLLM's callbacks run after the call, in threads of their own, for both ways alike: they could neither keep a call
from being sent nor tell which of the two it took. Its own retries (`num_retries`) make whole new calls.
Checked against litellm 1.106.2, `llms/custom_httpx/http_handler.py` and `main.py`.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from outlay.errors import BudgetExceeded
from outlay.guard import shielded
from outlay.intercept import Interception, Sending
from outlay.live import LiveCall
from outlay.patches import Patches
from outlay.providers.foreign import is_mapping, text
from outlay.providers.registry import canonical_provider, provider_of_host
from outlay.runtime import Runtime
from outlay.sdks.undecoded import answered

if TYPE_CHECKING:
    from outlay.sdks import Sdk

_POSITIONAL: Final = ("url", "data", "json")
_VARIANT: Final = re.compile(r"^text-completion-|_(?:chat|converse|beta|text)$")
"""What LiteLLM adds to a provider's name to tell one of its APIs from another."""


def patch(patches: Patches, sdk: Sdk, runtime: Runtime, module: ModuleType) -> None:
    """Put the wrappers in place in one of LiteLLM's modules."""
    if module.__name__ == "litellm.main":
        patches.replace(module, "exception_type", _let_pass)
    else:
        point = _ChokePoint(Interception(runtime, sdk.provider))
        patches.replace(module.HTTPHandler, "post", point.wrap)
        patches.replace(module.AsyncHTTPHandler, "post", point.wrap_async)


class _ChokePoint:
    """The wrappers of LiteLLM's two HTTP clients."""

    def __init__(self, interception: Interception) -> None:
        self._interception = interception

    def wrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def post(handler: Any, *args: Any, **kwargs: Any) -> Any:
            call = self._start(args, kwargs)
            if call is None:
                return original(handler, *args, **kwargs)
            with Sending(call):
                try:
                    response = original(handler, *args, **kwargs)
                except Exception as error:
                    _refused(call, error)
                    raise
            answered(call, response)
            return response

        return post

    def wrap_async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def post(handler: Any, *args: Any, **kwargs: Any) -> Any:
            call = self._start(args, kwargs)
            if call is None:
                return await original(handler, *args, **kwargs)
            async with Sending(call):
                try:
                    response = await original(handler, *args, **kwargs)
                except Exception as error:
                    _refused(call, error)
                    raise
            answered(call, response)
            return response

        return post

    @shielded
    def _start(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> LiveCall | None:
        """The call this request is, None where it is not billed. Raises `BudgetExceeded` where a budget forbids it."""
        given = {**dict(zip(_POSITIONAL, args, strict=False)), **kwargs}
        host = urlsplit(given["url"]).hostname or ""
        details = getattr(given.get("logging_obj"), "model_call_details", None)
        named = text(details.get("custom_llm_provider")) if is_mapping(details) else None
        provider = provider_of_host(host) or (canonical_provider(_VARIANT.sub("", named)) if named else None)
        return self._interception.begin(given["url"], host, _body_of(given), provider)


@shielded
def _refused(call: LiveCall, error: Exception) -> None:
    """A refusal is told by its status: the error it is dressed in here is not the one the application will see."""
    if hasattr(error, "response") and call.was_sent:
        call.end()


def _body_of(given: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in ("json", "data", "content"):
        sent = given.get(name)
        if is_mapping(sent):
            return sent
        if isinstance(sent, (str, bytes)) and sent.lstrip()[:1] in ("{", b"{"):
            body = json.loads(sent)
            return body if is_mapping(body) else {}
    return {}


def _let_pass(original: Callable[..., Any]) -> Callable[..., Any]:
    """LiteLLM makes errors of its own of all that is raised below it; a refusal of ours leaves as it is."""

    @functools.wraps(original)
    def exception_type(*args: Any, **kwargs: Any) -> Any:
        error = kwargs.get("original_exception") or next((each for each in args if isinstance(each, Exception)), None)
        while error is not None:
            if isinstance(error, BudgetExceeded):
                raise error
            error = error.__cause__ or error.__context__
        return original(*args, **kwargs)

    return exception_type
