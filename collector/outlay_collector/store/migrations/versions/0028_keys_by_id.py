"""A response id that nobody could have guessed is a bill's key by itself, whichever provider a report names.

Only the keys of calls that came within two days of the last are written anew: a later report of an older call is looked
for under either key. Of two calls with one id, which were billed twice, the later gets the new key; a report that finds
both makes them one. How ids are told apart is written down here as it was decided then.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0028_keys_by_id"
down_revision = "0027_write_turns"

_WINDOW_NS = 2 * 86_400_000_000_000
_PAGE = 5_000
_KINDS = bytes(48 if 48 <= at <= 57 else 97 if 97 <= at <= 122 else 65 if 65 <= at <= 90 else 45 for at in range(256))
_CALLS = sa.table(
    "calls",
    *(sa.column(name) for name in ("id", "bill_key", "provider", "response_id", "received_at_ns")),
)
_OTHERS = _CALLS.alias()


def _is_unguessable(response_id: str) -> bool:
    kinds = response_id.encode(errors="replace").translate(_KINDS)
    changes = sum(kinds.count(pair) for pair in (b"a0", b"0a", b"A0", b"0A", b"aA", b"Aa"))
    return len(response_id) >= 20 and "0" * 9 not in response_id and changes >= 5


def _rewrite(to: Any) -> Any:
    """Of the call `of`, unless another has that key."""
    taken = sa.exists().where(_OTHERS.c.bill_key == to)
    return sa.update(_CALLS).where(_CALLS.c.id == sa.bindparam("of"), ~taken).values(bill_key=to)


def upgrade() -> None:
    connection = op.get_bind()
    statement = _rewrite(sa.bindparam("key", type_=sa.String))
    pages = sa.select(_CALLS.c.id, _CALLS.c.response_id, _CALLS.c.received_at_ns).order_by(_CALLS.c.id.desc())
    rows = connection.execute(pages.limit(_PAGE)).all()
    since_ns = rows[0].received_at_ns - _WINDOW_NS if rows else 0
    while rows and rows[0].received_at_ns >= since_ns:
        recent = [row for row in rows if row.response_id and row.received_at_ns >= since_ns]
        keys = [{"of": row.id, "key": f"*:{row.response_id}"} for row in recent if _is_unguessable(row.response_id)]
        if keys:
            connection.execute(statement, keys)
        rows = connection.execute(pages.where(_CALLS.c.id < rows[-1].id).limit(_PAGE)).all()


def downgrade() -> None:
    connection = op.get_bind()
    statement = _rewrite(sa.bindparam("key", type_=sa.String))
    pages = (
        sa.select(_CALLS.c.id, _CALLS.c.provider, _CALLS.c.response_id)
        .where(_CALLS.c.bill_key.like("*:%"))
        .order_by(_CALLS.c.id)
    )
    rows = connection.execute(pages.limit(_PAGE)).all()
    while rows:
        issuers = {"google-vertex": "google", "azure": "openai"}
        keys = [{"of": row.id, "key": f"{issuers.get(row.provider, row.provider)}:{row.response_id}"} for row in rows]
        connection.execute(statement, keys)
        rows = connection.execute(pages.where(_CALLS.c.id > rows[-1].id).limit(_PAGE)).all()
