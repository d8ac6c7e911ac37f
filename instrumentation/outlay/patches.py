"""Replacing attributes of other people's modules, and putting them back.

Nothing is imported that the application has not imported: a module that is not loaded yet is patched at the moment it
is. Undoing leaves what it finds replaced by somebody else since; our part of such a chain is then inert.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from outlay.guard import shielded

Patch = Callable[[ModuleType], None]


class Patches:
    """The replacements made so far, in their order."""

    def __init__(self) -> None:
        self._made: list[tuple[Any, str, Any, Any]] = []
        self._awaited = _Awaited()

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Put `make(original)` in the original's place. An owner without the attribute is left alone."""
        original = vars(owner).get(name)
        if original is None:
            return
        replacement = make(original)
        setattr(owner, name, replacement)
        self._made.append((owner, name, original, replacement))

    def when_imported(self, module: str, patch: Patch) -> None:
        """Patch the module now if it is loaded, else once it is. A patch that fails is reported, the import goes on."""
        patch = shielded(patch)
        if _is_half_imported(module):
            shielded(importlib.import_module)(module)  # waits for whoever imports it
        if (loaded := sys.modules.get(module)) is not None:
            patch(loaded)
        else:
            self._awaited.add(module, patch)

    def undo(self) -> None:
        self._awaited.forget()
        while self._made:
            owner, name, original, replacement = self._made.pop()
            if vars(owner).get(name) is replacement:
                setattr(owner, name, original)


def _is_half_imported(module: str) -> bool:
    return bool(getattr(getattr(sys.modules.get(module), "__spec__", None), "_initializing", False))


class _Awaited(importlib.abc.MetaPathFinder):
    """Finds modules as the other finders do, and has those that are awaited patched as soon as they have run."""

    def __init__(self) -> None:
        self._patches: dict[str, Patch] = {}
        self._finding = threading.local()

    def add(self, module: str, patch: Patch) -> None:
        self._patches[module] = patch
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def forget(self) -> None:
        self._patches.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in self._patches or getattr(self._finding, "name", None) == name:
            return None
        self._finding.name = name
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._finding.name = None
        loader = None if spec is None else spec.loader
        if loader is None or not hasattr(loader, "exec_module"):
            return spec
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            # Set on this one loader and taken away again, so that the module keeps a loader of the usual kind.
            vars(loader).pop("exec_module", None)
            execute(module)
            # Only now: who looks for a module need not import it.
            patch = self._patches.pop(name, None) if module.__name__ == name else None
            if patch is not None:
                patch(module)

        loader.exec_module = exec_module  # type: ignore[method-assign]  # as the comment above says
        return spec
