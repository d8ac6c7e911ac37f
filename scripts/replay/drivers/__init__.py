"""How each SDK is made to send a recorded request. A file an SDK; `DRIVERS` lists them in the order they are asked.

A driver is a module with `SDK`, the name of the distribution, and

    def play(exchange: Exchange, url: str, is_async: bool) -> Play

which makes the SDK ready to send that request to `url` (the server's address and, behind it, the provider's name:
what the client is given for a base, before the path that was recorded), and raises `NotReplayable` with a reason where
this SDK has no way to send it. The play itself sends, takes the whole answer, and lets the SDK's own errors out; with
`is_async` it is made with the asynchronous client and gives an awaitable. Retries are off. The header `x-replay-id`
(`exchange.id`) picks the recorded answer, whatever the SDK makes of the body.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, Protocol, cast

from replay.recording import Exchange

Play = Callable[[], Any]
DRIVERS: Final = ("openai", "anthropic", "google", "mistral", "cohere", "bedrock")


class NotReplayable(Exception):
    """This SDK cannot send that request; the message says why, in words that many exchanges may share."""


class Driver(Protocol):
    """What a module of this folder looks like."""

    SDK: str

    def play(self, exchange: Exchange, url: str, is_async: bool) -> Play: ...


def installed() -> dict[str, Driver]:
    """The drivers whose SDK is there, by its distribution."""
    found: dict[str, Driver] = {}
    for name in DRIVERS:
        if importlib.util.find_spec(f"{__name__}.{name}") is None:
            continue
        driver = cast("Driver", importlib.import_module(f"{__name__}.{name}"))
        try:
            version(driver.SDK)
        except PackageNotFoundError:
            continue
        found[driver.SDK] = driver
    return found


def arguments(method: Callable[..., Any], body: Mapping[str, Any], rest: str = "extra_body") -> dict[str, Any]:
    """The body as keyword arguments of an SDK's method; what it has no parameter for goes under `rest`."""
    known = inspect.signature(method).parameters
    named = {name: value for name, value in body.items() if name in known}
    other = {name: value for name, value in body.items() if name not in known}
    return {**named, rest: other} if other else named


def drain(result: Any) -> Any:
    """Take what a synchronous call gave to its end, if it is a stream."""
    if hasattr(result, "__next__"):
        for _ in result:
            pass
    return result


async def drain_async(result: Any) -> Any:
    """`drain` for asynchronous clients; `result` may still have to be awaited."""
    if inspect.isawaitable(result):
        result = await result
    if hasattr(result, "__anext__"):
        async for _ in result:
            pass
    return result
