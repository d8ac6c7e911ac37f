"""What the application's own response cache did: said for a block, or for the call that is being sent.

A cache in front of the SDK never gets as far as a call: `cache_hit` reports what it answered. One behind the SDK, in
its HTTP transport or in a gateway of the application's, answers calls that look like any other; only it knows.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final, Literal

from outlay.blocks import Blocks
from outlay.errors import nearest
from outlay.model import ResponseCache
from outlay.under_way import under_way

_current: Final[ContextVar[ResponseCache | None]] = ContextVar("outlay_response_cache", default=None)
_blocks: Final = Blocks[Token[ResponseCache | None]]("outlay_response_cache_blocks")

current = _current.get
"""What is said of the calls made here, None where nothing is."""


class cache:
    """Say what the application's response cache did: `hit` (answered, nothing bought), `miss` or `bypass`.

    As a block it holds for the calls made inside. Called from within an HTTP transport, while an SDK sends, it holds
    for the call being sent, block or not. A hit costs nothing, and avoided what its answer would have cost. Raises
    `ValueError` for another status.
    """

    def __init__(self, status: Literal["hit", "miss", "bypass"]) -> None:
        known = [each.value for each in ResponseCache]
        if status not in known:
            raise ValueError(f"cache({status!r}): expected one of {', '.join(known)}{nearest(status, known)}")
        self._status = ResponseCache(status)
        call = under_way.get()
        if call is not None:
            call.response_cache = self._status

    def __enter__(self) -> cache:
        _blocks.enter(self, _current.set(self._status))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        token = _blocks.leave(self)
        with suppress(ValueError):  # a generator that the garbage collector closes in another's context
            if token is not None:
                _current.reset(token)
