"""Who spends, carried along with the code that spends it.

`context()` sets attribution for a block or a function; blocks nest, the inner one wins field by field and tags are
merged. It rides on contextvars: asyncio tasks inherit it, threads started by hand do not unless they run in a copied
context (`contextvars.copy_context().run`). To other services it goes as `baggage` says.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import suppress
from contextvars import ContextVar, Token
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, TypeVar, cast

from opentelemetry import context as otel_context

from outlay import baggage
from outlay.blocks import Blocks
from outlay.model import NOBODY, Attribution

F = TypeVar("F", bound=Callable[..., Any])
_Entered = tuple[Token[Attribution], Token[otel_context.Context] | None]

_current: Final[ContextVar[Attribution]] = ContextVar("outlay_attribution", default=NOBODY)
_blocks: Final = Blocks[_Entered]("outlay_attribution_blocks")

current = _current.get
"""The attribution in force here; the same object as long as it does not change."""


def completed(said: Attribution, request: Attribution) -> Attribution:
    """What the application says, and what the request itself says where the application said nothing."""
    if request is NOBODY or request == NOBODY:
        return said
    return replace(
        said,
        user=said.user or request.user,
        session=said.session or request.session,
        feature=said.feature or request.feature,
        tenant=said.tenant or request.tenant,
        tags={**request.tags, **said.tags} if request.tags else said.tags,
    )


class context:
    """Attribute the calls made inside a `with` block, or inside a decorated function, generator or coroutine.

    What is not given stays as it was outside. Values are texts; anything else is turned into its text.
    """

    def __init__(
        self,
        *,
        feature: str | None = None,
        user: str | None = None,
        tenant: str | None = None,
        session: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        said = {"feature": feature, "user": user, "tenant": tenant, "session": session}
        self._fields = {name: str(value) for name, value in said.items() if value is not None}
        self._tags = {str(name): str(value) for name, value in (tags or {}).items()}

    def _enter(self) -> _Entered:
        outer = _current.get()
        tags = {**outer.tags, **self._tags} if self._tags else outer.tags
        said = replace(outer, **self._fields, tags=tags)
        carried = otel_context.attach(baggage.with_attribution(said)) if baggage.carried else None
        return _current.set(said), carried

    def __enter__(self) -> context:
        _blocks.enter(self, self._enter())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (entered := _blocks.leave(self)) is not None:
            _leave(entered)

    def __call__(self, function: F) -> F:
        if inspect.isasyncgenfunction(function):
            wrapper = self._around_async_generator(function)
        elif inspect.isgeneratorfunction(function):
            wrapper = self._around_generator(function)
        elif inspect.iscoroutinefunction(function):
            wrapper = self._around_coroutine(function)
        else:
            wrapper = self._around_function(function)
        return cast(F, functools.wraps(function)(wrapper))

    def _around_function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            token = self._enter()
            try:
                return function(*args, **kwargs)
            finally:
                _leave(token)

        return call

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            token = self._enter()
            try:
                return await function(*args, **kwargs)
            finally:
                _leave(token)

        return call

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """In force while the generator runs, not while its consumer does: entered and left around every step."""

        def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            inner = function(*args, **kwargs)
            step: Callable[..., Any] = inner.send
            given: Any = None
            while True:
                token = self._enter()
                try:
                    item = step(given)
                except StopIteration as end:
                    return end.value
                finally:
                    _leave(token)
                try:
                    step, given = inner.send, (yield item)
                except GeneratorExit:
                    self._around_function(inner.close)()
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown into the generator, where it belongs
                    step, given = inner.throw, error

        return call

    def _around_async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            inner = function(*args, **kwargs)
            step: Callable[..., Any] = inner.asend
            given: Any = None
            while True:
                token = self._enter()
                try:
                    item = await step(given)
                except StopAsyncIteration:
                    return
                finally:
                    _leave(token)
                try:
                    step, given = inner.asend, (yield item)
                except GeneratorExit:
                    await self._around_coroutine(inner.aclose)()
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown into the generator, where it belongs
                    step, given = inner.athrow, error

        return call


def _leave(entered: _Entered) -> None:
    token, carried = entered
    # A generator closed by the garbage collector may be left in another context than it was entered in; there is
    # nothing to restore in that one.
    with suppress(ValueError):
        _current.reset(token)
        if carried is not None:
            otel_context.detach(carried)
