"""Google's Interactions API: the client inside google-genai that makes its own requests, past `BaseApiClient`.

Its first release, with google-genai 2.0, was written by the generator of OpenAI's SDK, and `stainless` wraps it; the
later ones by that of Mistral's, and `speakeasy` does. Each turn that the SDK takes up again by itself
(`automatic_continuation`) is a request with an id of its own, and so a call. Decisions count as interactions do.
Checked against google-genai 2.0.0, `_interactions/_base_client.py`, and 3.4.0, `_gaos/basesdk.py`.
"""

from __future__ import annotations

import functools
import json
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from outlay.guard import shielded
from outlay.intercept import Interception
from outlay.live import LiveCall
from outlay.patches import Patches
from outlay.providers.foreign import mapping
from outlay.runtime import Runtime
from outlay.sdks import stainless
from outlay.sdks.speakeasy import ChokePoint

if TYPE_CHECKING:
    from outlay.sdks import Sdk

MODULES: Final = ("google.genai._interactions._base_client", "google.genai._gaos.basesdk")

_BILLED: Final = ("/interactions", "/decisions")
"""What this client's other resources ask for is not: agents, voices, triggers, credentials, files."""


def patch(patches: Patches, sdk: Sdk, runtime: Runtime, module: ModuleType) -> None:
    """Put the wrappers in place in one of `MODULES`."""
    if not hasattr(module, "AsyncBaseSDK"):
        stainless.patch(patches, sdk, runtime, module)
        return
    point = ChokePoint(functools.partial(_start, Interception(runtime, sdk.provider)))
    patches.replace(module.BaseSDK, "do_request", point.wrap)
    patches.replace(module.AsyncBaseSDK, "do_request_async", point.wrap_async)


@shielded
def _start(interception: Interception, request: Any) -> LiveCall | None:
    """The call this request is, None where it is not billed. Raises `BudgetExceeded` where a budget forbids it."""
    if request.method.upper() != "POST":
        return None
    path: str = request.url.path
    if not path.endswith(_BILLED):
        return None
    provider = "google-vertex" if "/projects/" in path else None
    return interception.begin(_BILLED[0], request.url.host, mapping(json.loads(request.content)), provider)
