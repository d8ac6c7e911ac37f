"""What Speakeasy generates: a `do_request`, which builds nothing and decodes nothing, but contains the retries.

What comes back is the response; each method decodes it for itself, so that it is read from its bytes here, and
`EventStream` stays the application's own. Which requests are calls is for the file of each SDK to say.
Checked against mistralai 3.0.0 and 3.7.0, `client/basesdk.py`, and google-genai 3.4.0, `_gaos/basesdk.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from outlay.intercept import Sending
from outlay.live import LiveCall
from outlay.sdks.undecoded import answered


@dataclass(frozen=True, slots=True)
class ChokePoint:
    """The wrappers of one client. `start` gives the call that a request is, None where it is not billed."""

    start: Callable[[Any], LiveCall | None]

    def wrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def do_request(sdk: Any, hook_ctx: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            call = self.start(request)
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
            call = self.start(request)
            if call is None:
                return await original(sdk, hook_ctx, request, *args, **kwargs)
            async with Sending(call):
                response = await original(sdk, hook_ctx, request, *args, **kwargs)
            answered(call, response)
            return response

        return do_request_async
