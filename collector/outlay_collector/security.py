"""Who may do what: API keys, their scopes, and the gate in front of every request.

As long as a database has no key nobody is asked for one: that is for loopback, and `outlay up` refuses any other
address then. From the first key on every request needs one, but for the health of the process. A secret has 256 random
bits, so one round of SHA-256 keeps it; compares take the same time whatever they find.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, get_args

from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from outlay_collector.api.errors import error_response
from outlay_collector.pins import Pins
from outlay_collector.store.engine import open_engine, reading
from outlay_collector.store.keys import ApiKeyRow, read_keys
from outlay_collector.store.migrate import migrate

Right = Literal["ingest", "read", "admin"]
RIGHTS: Final[tuple[Right, ...]] = get_args(Right)

_PREFIX: Final = "outlay"
_FRESH_S: Final = 5.0
_OPEN: Final = frozenset({"/healthz", "/readyz"})
_LEASES: Final = frozenset({"/api/v1/budgets/leases", "/api/v1/budgets/settle"})


def make_key(name: str, right: Right, now_ns: int, pins: Pins | None = None) -> tuple[str, ApiKeyRow]:
    """A new key: what its holder sends, and what is kept of it. `pins`: what all its calls are attributed to."""
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    row = ApiKeyRow(
        id=key_id,
        name=name,
        scope=right,
        secret_sha256=_hashed(secret),
        created_at_ns=now_ns,
        pins=dict(pins) if pins else None,
    )
    return f"{_PREFIX}_{key_id}_{secret}", row


def right_for(method: str, path: str) -> Right | None:
    """What a request needs. None: nothing."""
    if path in _OPEN:
        return None
    if path.startswith("/v1/") or path in _LEASES:
        return "ingest"
    return "read" if method in ("GET", "HEAD") else "admin"


@dataclass(frozen=True, slots=True)
class _Known:
    right: str
    secret_sha256: str
    pins: Pins


class Keys:
    """The keys of a database, read again every few seconds: so long a revoked one may still pass.

    `own`: a secret of this process, for what it starts itself, that may read.
    """

    def __init__(
        self, engine: Engine, monotonic: Callable[[], float] = time.monotonic, *, own: str | None = None
    ) -> None:
        self._engine = engine
        self._own = None if own is None else _hashed(own)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._read_at = -_FRESH_S
        self._known: dict[str, _Known] = {}

    def refusal(self, given: str | None, needed: Right) -> tuple[int, str] | None:
        """The HTTP status and the reason for turning a request away; None where it may pass."""
        known = self._fresh()
        if not known:
            return None
        if given is None:
            return 401, "this collector asks for an API key: Authorization: Bearer outlay_..."
        if needed == "read" and self._own is not None and hmac.compare_digest(_hashed(given), self._own):
            return None
        prefix, key_id, secret = _parts(given)
        key = known.get(key_id)
        kept = key.secret_sha256 if key is not None else ""
        if not hmac.compare_digest(_hashed(secret), kept) or key is None or prefix != _PREFIX:
            return 401, "this API key is not known, or was revoked"
        if key.right not in (needed, "admin"):
            return 403, f"this API key is for {key.right}; this needs one for {needed}"
        return None

    def pins(self, given: str | None) -> Pins:
        """What a sender that was let in with this key is attributed to, whatever it says."""
        key = self._known.get(_parts(given)[1]) if given else None
        return {} if key is None else key.pins

    def _fresh(self) -> dict[str, _Known]:
        with self._lock:
            if self._monotonic() - self._read_at >= _FRESH_S:
                with reading(self._engine) as connection:
                    rows = read_keys(connection)
                self._known = {
                    row.id: _Known(row.scope, row.secret_sha256, row.pins or {})
                    for row in rows
                    if not row.revoked_at_ns
                }
                self._read_at = self._monotonic()
            return self._known


class KeyGate:
    """ASGI middleware that lets a request in only with a key that may do what it asks. Says to whoever answers what the
    key pins: `pins_of`."""

    def __init__(self, app: ASGIApp, keys: Callable[[Request], Keys]) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        needed = right_for(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if needed is not None:
            request = Request(scope)
            keys, given = self._keys(request), _bearer(request)
            refusal = await run_in_threadpool(keys.refusal, given, needed)
            if refusal is not None:
                status, reason = refusal
                code = "unauthorized" if status == 401 else "forbidden"
                headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
                await error_response(status, code, reason, headers=headers)(scope, receive, send)
                return
            request.state.pins = keys.pins(given)
        await self._app(scope, receive, send)


def pins_of(request: Request) -> Pins:
    """What the key of a request that was let in pins; nothing where nobody is asked for one."""
    pins: Pins = getattr(request.state, "pins", {})
    return pins


def has_keys(url: str) -> bool:
    """Whether a collector on this database asks for a key. Migrates the database, as the collector is about to."""
    engine = open_engine(url)
    try:
        migrate(engine)
        with reading(engine) as connection:
            return any(row.revoked_at_ns is None for row in read_keys(connection))
    finally:
        engine.dispose()


def _bearer(request: Request) -> str | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value else None


def _parts(key: str) -> tuple[str, str, str]:
    prefix, _, rest = key.partition("_")
    key_id, _, secret = rest.partition("_")
    return prefix, key_id, secret


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
