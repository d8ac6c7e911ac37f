"""Rate limits of providers as calls last saw them, in the headers of their responses: one row a limit, the latest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

from outlay.model import Call, RateLimit
from sqlalchemy import BigInteger, Connection, Row, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from outlay_collector.billing import Report

_LATEST_NS: Final = 2**63 - 1
_MINUTE_NS: Final = 60 * 1_000_000_000


class RateLimitRow(SQLModel, table=True):
    """`model` and `service` are empty where a call did not say them."""

    __tablename__ = "rate_limits"

    provider: str = Field(primary_key=True)
    model: str = Field(primary_key=True)
    service: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    """`requests`, `tokens` or what else the provider limits."""
    most: int | None = Field(default=None, sa_type=BigInteger)
    remaining: int | None = Field(default=None, sa_type=BigInteger)
    resets_at_ns: int | None = Field(default=None, sa_type=BigInteger)
    seen_at_ns: int = Field(sa_type=BigInteger)


LIMITS: Final = SQLModel.metadata.tables["rate_limits"]
_KEY: Final = tuple(column.name for column in LIMITS.primary_key)
_SEEN: Final = tuple(column.name for column in LIMITS.columns if column.name not in _KEY)


def note_limits(connection: Connection, reports: Iterable[Report]) -> None:
    """Keep what the latest of the calls saw, unless a later one was seen before."""
    latest: dict[tuple[str, ...], tuple[Call, RateLimit]] = {}
    for report in reports:
        call = report.call
        for name, limit in call.rate_limits.items():
            key = (call.provider, call.model or "", call.attribution.service or "", name)
            if (known := latest.get(key)) is None or known[0].ended_at_ns < call.ended_at_ns:
                latest[key] = (call, limit)
    if latest:
        # In one order: two collectors cannot each wait for the other.
        rows = [_row(key, *latest[key]) for key in sorted(latest)]
        connection.execute(_unless_seen_later(connection.dialect.name), rows)


@cache
def _unless_seen_later(dialect: str) -> Any:
    statement: Any = (postgresql if dialect == "postgresql" else sqlite).insert(LIMITS)
    said = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=_KEY,
        set_={name: said[name] for name in _SEEN},
        where=said.seen_at_ns > LIMITS.c.seen_at_ns,
    )


def read_limits(connection: Connection) -> Sequence[Row[Any]]:
    """All of them, by key."""
    return connection.execute(select(LIMITS).order_by(*LIMITS.primary_key)).all()


def current_limits(connection: Connection, now_ns: int) -> Sequence[Row[Any]]:
    """Those whose room is known, and that have not been reset since: by what they said, else within a minute."""
    holds = or_(
        LIMITS.c.resets_at_ns > now_ns, LIMITS.c.resets_at_ns.is_(None) & (LIMITS.c.seen_at_ns > now_ns - _MINUTE_NS)
    )
    known = LIMITS.c.most > 0, LIMITS.c.remaining.is_not(None)
    return connection.execute(select(LIMITS).where(holds, *known).order_by(*LIMITS.primary_key)).all()


def forget_limits(connection: Connection, before_ns: int) -> int:
    """Remove those not seen since then; how many."""
    return connection.execute(delete(LIMITS).where(LIMITS.c.seen_at_ns < before_ns)).rowcount


def _row(key: tuple[str, ...], call: Call, limit: RateLimit) -> dict[str, Any]:
    return {
        **dict(zip(_KEY, key, strict=True)),
        "most": limit.limit,
        "remaining": limit.remaining,
        "resets_at_ns": _resets_at_ns(call.ended_at_ns, limit.reset_s),
        "seen_at_ns": call.ended_at_ns,
    }


def _resets_at_ns(ended_at_ns: int, reset_s: float | None) -> int | None:
    """None too where what came is no time that can be: it is other people's."""
    if reset_s is None or not 0 <= reset_s < 10**9:
        return None
    at_ns = ended_at_ns + int(reset_s * 1_000_000_000)
    return at_ns if at_ns <= _LATEST_NS else None
