"""Frozen records at the price of open ones.

A frozen dataclass sets each field through `object.__setattr__`: that is three times the cost of an open one, and a call
is a hundred fields. Type checking sees `dataclass` and holds everybody to `frozen`; at run time the class is open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

__all__ = ["record"]

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:

    def record(*, frozen: bool, slots: bool, kw_only: bool = False) -> Callable[[type], type]:
        """`dataclass` for what is made for every call; compared and hashed as a frozen one is."""
        return dataclass(unsafe_hash=frozen, slots=slots, kw_only=kw_only)
