"""`instrument()` and `uninstrument()`: what is wrapped, with which settings, and how it is all taken back."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from outlay import baggage, guard
from outlay.budgets.client import connect
from outlay.errors import NotInstrumentable
from outlay.export import Delivery
from outlay.patches import Patches
from outlay.prices import PriceBook, read_overrides
from outlay.runtime import Runtime
from outlay.sdks import SDKS, Sdk
from outlay.settings import read_settings
from outlay.transport import MODULES, patch_transport

_lock = threading.RLock()


class Installation:
    """One runtime and the patches that lead to it."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._patches = Patches()
        self._done: set[str] = set()
        for module in MODULES:
            self._patches.when_imported(module, functools.partial(patch_transport, self._patches))

    def add(self, sdk: Sdk) -> None:
        """Wrap the SDK, unless it is already."""
        if sdk.name not in self._done:
            self._done.add(sdk.name)
            for module in sdk.modules:
                self._patches.when_imported(module, functools.partial(sdk.patch, self._patches, self.runtime))

    def remove(self) -> None:
        self._patches.undo()
        self.runtime.close()


_installed: Installation | None = None


def instrument(
    names: Sequence[str],
    *,
    service: str | None,
    environment: str | None,
    endpoint: str | None,
    api_key: str | None,
    prices: Sequence[Mapping[str, Any]],
    redact: Sequence[str],
) -> None:
    global _installed
    settings = read_settings(
        os.environ, service=service, environment=environment, endpoint=endpoint, api_key=api_key, redact=redact
    )
    sdks = _chosen(names)
    if settings.disabled:
        return
    with _lock:
        if _installed is None:
            guard.set_strict(settings.strict)
            baggage.allow(settings.baggage)
            book = PriceBook.bundled()
            if prices:
                book = book.overridden(read_overrides(prices, "instrument(prices=...)"))
            gate = connect(settings.endpoint, settings.api_key, book, required=settings.budgets_required)
            _installed = Installation(Runtime(settings, book, gate, Delivery(settings)))
        for sdk in sdks:
            _installed.add(sdk)


def uninstrument() -> None:
    global _installed
    with _lock:
        if _installed is not None:
            _installed.remove()
            baggage.allow(())
        _installed = None


def runtime() -> Runtime | None:
    """The runtime in force, None before `instrument()`."""
    return None if _installed is None else _installed.runtime


def _chosen(names: Sequence[str]) -> list[Sdk]:
    """The SDKs to wrap: those named, else all that are there. Raises `NotInstrumentable` for a name that cannot be."""
    if not names:
        return [sdk for sdk in SDKS.values() if _problem(sdk) is None]
    for name in names:
        if name not in SDKS:
            raise NotInstrumentable(f"Outlay does not know {name!r}; it knows {', '.join(SDKS)}")
        if (problem := _problem(SDKS[name])) is not None:
            raise NotInstrumentable(problem)
    return [SDKS[name] for name in names]


def _problem(sdk: Sdk) -> str | None:
    oldest = ".".join(map(str, sdk.oldest))
    if not _is_there(sdk.package):
        return f"{sdk.name} is not installed: pip install '{sdk.distribution}>={oldest}'"
    try:
        installed = importlib.metadata.version(sdk.distribution)
    except importlib.metadata.PackageNotFoundError:
        return None  # vendored or built without metadata: the wrappers look for what they need themselves
    if tuple(map(int, re.findall(r"\d+", installed)[:2])) < sdk.oldest:
        return f"{sdk.name} {installed} is too old: Outlay wraps {oldest} and later"
    return None


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of `google.genai`, where there is no `google`
        return False


def _after_fork() -> None:
    """A thread that is not there may have held it."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
