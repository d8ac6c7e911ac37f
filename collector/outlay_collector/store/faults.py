"""What it means that a database raised: whether the data is at fault, the disk is full, or it is only away."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_DATA: Final = (DataError, InterfaceError, TypeError, ValueError, OverflowError)
_SQLITE_FULL: Final = 13
_POSTGRES_FULL: Final = frozenset({"53100"})


class Fault(Enum):
    DATA = auto()
    """Something in the rows cannot be stored by any database: once more is the same again."""
    FULL = auto()
    """There is no room on the disk, or none that the database may take."""
    AWAY = auto()
    """It does not answer, or somebody holds a lock: whatever is asked of it now fails alike."""
    OTHER = auto()


def fault_of(error: BaseException) -> Fault:
    """SQLite says SQLITE_FULL, Postgres 53100 (disk_full): sqlite.org/rescode.html, PostgreSQL 18 appendix A."""
    if isinstance(error, DBAPIError) and _is_full(error.orig):
        return Fault.FULL
    if isinstance(error, _DATA):
        return Fault.DATA
    return Fault.AWAY if isinstance(error, (OperationalError, PoolTimeout)) else Fault.OTHER


def _is_full(error: BaseException | None) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return (code is not None and code & 0xFF == _SQLITE_FULL) or getattr(error, "sqlstate", None) in _POSTGRES_FULL
