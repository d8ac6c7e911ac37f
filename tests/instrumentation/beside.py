"""What an application does with an SDK, once without Outlay and once with it: it has to notice no difference."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import Awaitable, Callable
from typing import Any

import outlay

from tests.instrumentation.doubles import Receiver, items

Play = Callable[[], Awaitable[Any]]
Beside = Callable[..., Awaitable[dict[str, Any]]]


async def played_beside(
    receiver: Receiver,
    play: Play,
    fails: tuple[type[BaseException], ...] = (),
    drops: bool = False,
) -> dict[str, Any]:
    """The data of the one span it makes. `fails` is what the play has to raise, if anything; `drops` whether it leaves
    something to be collected."""
    without = await _outcome(play)
    await _sweep(drops)
    assert without[0] == "returned" if not fails else issubclass(without[1], fails), without
    outlay.instrument(endpoint=receiver.url)
    try:
        assert await _outcome(play) == without
        await _sweep(drops)
        return receiver.only_call()
    finally:
        outlay.uninstrument()


def cancelled(stream: Callable[[], Awaitable[Any]]) -> Play:
    """Reads a stream until something has come, and is cancelled while it waits for more."""

    async def play() -> None:
        begun = asyncio.Event()

        async def consume() -> None:
            async for _ in items(await stream()):
                begun.set()

        task = asyncio.create_task(consume())
        await begun.wait()
        await asyncio.sleep(0.02)
        task.cancel()
        await task

    return play


def scene(*words: str) -> str:
    """What a provider is to play, as it is asked for it."""
    return ",".join(filter(None, words))


async def _outcome(play: Play) -> Any:
    try:
        return "returned", await play()
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever comes is what is compared
        return "raised", type(error), _undated(str(error)), type(error.__cause__), type(error.__context__)


def _undated(message: str) -> str:
    """An error in words without the time of its answer, which Cohere's SDK puts into them."""
    return re.sub(r"'date': '[^']*'", "", message)


async def _sweep(drops: bool) -> None:
    """Let the event loop close the asynchronous generators that were dropped, one inside the other, and collect what
    holds itself, as botocore's streams do."""
    await _turns()
    if drops:
        gc.collect()
        await _turns()


async def _turns() -> None:
    for _ in range(40):
        await asyncio.sleep(0)
