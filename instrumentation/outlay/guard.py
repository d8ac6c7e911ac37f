"""The one place that swallows Outlay's own errors, so that none of them reaches the application's call.

Each kind of error is logged once, with its traceback, and counted from then on. What is raised on purpose
(`BudgetExceeded`) passes. With `OUTLAY_STRICT=1` every error passes: that is how Outlay's own tests run.
"""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from outlay.errors import BudgetExceeded

P = ParamSpec("P")
R = TypeVar("R")

_LOG: Final = logging.getLogger("outlay")
_strict = False

swallowed: Final[Counter[str]] = Counter()
"""How often each kind happened: `where: ErrorClass` to a count."""


def set_strict(strict: bool) -> None:
    """Whether errors of ours are raised rather than swallowed."""
    global _strict
    _strict = strict


def report(where: str, error: Exception) -> None:
    """Swallow one error of ours: a warning the first time, a count every time."""
    if _strict:
        raise error
    kind = f"{where}: {type(error).__name__}"
    swallowed[kind] += 1
    if swallowed[kind] == 1:
        _LOG.warning(
            "Outlay failed in %s; the application is not affected, but a call may be missing from its spend. "
            "Further errors of this kind are only counted.",
            where,
            exc_info=error,
        )


def _name_of(function: Callable[..., object]) -> str:
    """A partial has no name of its own."""
    return getattr(getattr(function, "func", function), "__qualname__", repr(function))


def shielded(function: Callable[P, R]) -> Callable[P, R | None]:
    """The function, giving None where it fails."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return function(*args, **kwargs)
        except BudgetExceeded:
            raise
        except Exception as error:  # noqa: BLE001 - swallowing whatever goes wrong with us is what this is for
            report(_name_of(function), error)
            return None

    return call
