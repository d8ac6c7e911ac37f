"""How a streamed body ends: drained, failed, cancelled, closed by its consumer, or dropped.

The SDK's stream object stays what it is; only what it iterates over is replaced by a tap that passes everything on.
"""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

from outlay.guard import shielded
from outlay.live import LiveCall
from outlay.model import StreamEnd
from outlay.providers.foreign import first_text, is_mapping

_end = shielded(LiveCall.end)


def ended(call: LiveCall, error: BaseException | None = None) -> None:
    """The iteration is over: without an error it has been drained."""
    if error is None:
        _end(call, None, StreamEnd.DRAINED)
    else:
        _end(call, error, StreamEnd.CANCELLED if isinstance(error, asyncio.CancelledError) else StreamEnd.FAILED)


def body_closed(call: LiveCall) -> None:
    """The response of a stream is closing: by its consumer, unless it is being read, or dropped."""
    if _is_read(call):
        return
    if _is_dropped(call):
        collected(call)
    else:
        call.end(None, StreamEnd.CLOSED)


def _is_read(call: LiveCall) -> bool:
    """Whether the next piece is being read just now: the body has then ended by itself."""
    return call.is_reading or (call.tap is not None and getattr(call.tap(), "gi_running", False))


def _is_dropped(call: LiveCall) -> bool:
    """Whether nobody closed the body, but nobody wants it any more. Where there is no tap that could have died, a
    generator being finalised shows it."""
    return sys.exc_info()[0] is GeneratorExit if call.body else call.tap is not None and call.tap() is None


@shielded
def collected(call: LiveCall) -> None:
    call.end(None, StreamEnd.COLLECTED, is_collecting=True)


class Watch:
    """Something that is dropped together with what holds it, and notes that."""

    __slots__ = ("__weakref__", "_call")

    def __init__(self, call: LiveCall) -> None:
        self._call = call
        call.tap = weakref.ref(self)

    def __del__(self) -> None:
        collected(self._call)

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """What holds it can be pickled and copied; the copy is watched by nobody."""
        return type(None), ()


def tap(chunks: Iterator[Any], call: LiveCall) -> Iterator[Any]:
    """What a stream is to iterate over instead: all that comes, but for the chunk the caller did not ask for.

    It has been run up to where it asks for the first: a generator that was never begun is not told that it is dropped.
    """
    tapped = _tap(chunks, call)
    next(tapped)
    call.tap = weakref.ref(tapped)
    return tapped


def _tap(chunks: Iterator[Any], call: LiveCall) -> Iterator[Any]:
    unasked = call.unasked
    try:
        yield
        for chunk in chunks:
            if unasked:
                unasked.clear()
            else:
                yield chunk
    except GeneratorExit:  # nobody has it to close it
        collected(call)
        raise
    except BaseException as error:
        ended(call, error)
        raise
    ended(call)


class AsyncTap(Watch):
    """`tap` for asynchronous streams. An asynchronous generator would be closed by the event loop, some time later."""

    __slots__ = ("_chunks",)

    def __init__(self, chunks: AsyncIterator[Any], call: LiveCall) -> None:
        super().__init__(call)
        self._chunks = chunks

    def __aiter__(self) -> AsyncTap:
        return self

    async def __anext__(self) -> Any:
        call = self._call
        call.is_reading = True
        try:
            chunk = await self._chunks.__anext__()
            while call.unasked:
                call.unasked.clear()
                chunk = await self._chunks.__anext__()
            return chunk
        except StopAsyncIteration:
            ended(call)
            raise
        except GeneratorExit:  # nobody waits for it any more: the garbage collector may be here, inside any lock
            collected(call)
            raise
        except BaseException as error:
            ended(call, error)
            raise
        finally:
            call.is_reading = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chunks, name)


def tap_bytes(pieces: Iterator[bytes], call: LiveCall) -> Iterator[bytes]:
    """The pieces of a body, unchanged, read on the way."""
    call.is_reading = True
    try:
        for piece in pieces:
            call.is_reading = False
            _read(call, piece)
            yield piece
            call.is_reading = True
    except GeneratorExit:
        raise
    except BaseException as error:
        ended(call, error)
        raise
    else:
        _read(call, None)
        ended(call)
    finally:
        call.is_reading = False


async def tap_async_bytes(pieces: AsyncIterator[bytes], call: LiveCall) -> AsyncIterator[bytes]:
    """`tap_bytes` for asynchronous bodies."""
    call.is_reading = True
    try:
        async for piece in pieces:
            call.is_reading = False
            _read(call, piece)
            yield piece
            call.is_reading = True
    except GeneratorExit:
        raise
    except BaseException as error:
        ended(call, error)
        raise
    else:
        _read(call, None)
        ended(call)
    finally:
        call.is_reading = False


@shielded
def _read(call: LiveCall, piece: bytes | None) -> None:
    """The next piece of the body; None for its end."""
    if call.body is not None:
        for value in call.body.finish() if piece is None else call.body.feed(piece):
            call.payload(value)
            if call.is_streaming and (error := _error_in(value)) is not None:
                call.end(error, StreamEnd.FAILED)
        if piece:
            call.piece_was_read()


def _error_in(event: Any) -> str | None:
    """The name of the error that a provider sent in place of the rest of a stream."""
    if not is_mapping(event) or not (event.get("error") or event.get("type") == "error"):
        return None
    said = event.get("error")
    return first_text(said if is_mapping(said) else event, "type", "code") or "error"
