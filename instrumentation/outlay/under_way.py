"""The call whose request is being sent: how the parts that see it sent know whose it is."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from outlay.live import LiveCall

under_way: Final[ContextVar[LiveCall | None]] = ContextVar("outlay_call", default=None)
