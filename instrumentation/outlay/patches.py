"""Replacing attributes of other people's modules, and putting them back.

Nothing is imported that the application has not imported: a module that is not loaded yet is patched at the moment it
is. Undoing leaves what it finds replaced by somebody else since; our part of such a chain is then inert.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
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


class _Awaited(importlib.abc.MetaPathFinder):
    """Finds modules as the other finders do, and has those that are awaited patched as soon as they have run."""

    def __init__(self) -> None:
        self._patches: dict[str, Patch] = {}

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
        patch = self._patches.pop(name, None)
        if patch is None:
            return None
        spec = importlib.util.find_spec(name)
        loader = None if spec is None else spec.loader
        if loader is None or not hasattr(loader, "exec_module"):
            return spec
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            # Set on this one loader and taken away again, so that the module keeps a loader of the usual kind.
            vars(loader).pop("exec_module", None)
            execute(module)
            patch(module)

        loader.exec_module = exec_module  # type: ignore[method-assign]  # as the comment above says
        return spec
