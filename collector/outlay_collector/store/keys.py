"""API keys in the database: who they were given to, what they may do, and the hash of their secret."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Row, insert, select, update
from sqlmodel import Field, SQLModel

from outlay_collector.store.schema import Json


class ApiKeyRow(SQLModel, table=True):
    """One key. The secret itself is shown once, when it is made, and kept nowhere."""

    __tablename__ = "api_keys"

    id: str = Field(primary_key=True)
    name: str
    scope: str
    secret_sha256: str
    created_at_ns: int = Field(sa_type=BigInteger)
    revoked_at_ns: int | None = Field(default=None, sa_type=BigInteger)
    pins: dict[str, str] | None = Field(default=None, sa_type=Json)
    """What every call sent with it is attributed to, whatever its spans say: dimension to value."""
    quota: dict[str, int] | None = Field(default=None, sa_type=Json)
    """How much may be asked for with it, in the fields of `quotas.Quota`; NULL: as much as there is."""


KEYS: Final = SQLModel.metadata.tables["api_keys"]


def add_key(connection: Connection, row: ApiKeyRow) -> None:
    connection.execute(insert(KEYS).values(row.model_dump()))


def revoke_key(connection: Connection, key_id: str, now_ns: int) -> bool:
    """Whether there was such a key that still held."""
    valid = (KEYS.c.id == key_id) & KEYS.c.revoked_at_ns.is_(None)
    return connection.execute(update(KEYS).where(valid).values(revoked_at_ns=now_ns)).rowcount == 1


def read_keys(connection: Connection) -> Sequence[Row[Any]]:
    """All of them, the oldest first, the revoked ones too."""
    return connection.execute(select(KEYS).order_by(KEYS.c.created_at_ns, KEYS.c.id)).all()
