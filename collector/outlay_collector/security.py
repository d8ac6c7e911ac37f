"""Who may do what: API keys, their scopes, what each may ask for. `gate` and `otlp.grpc` ask here, in the same words.

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
from dataclasses import dataclass, field
from math import ceil
from typing import Final, Literal, get_args

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from outlay_collector.pins import Pins
from outlay_collector.quotas import Meter, Quota
from outlay_collector.store.engine import open_engine, reading
from outlay_collector.store.keys import ApiKeyRow, read_keys
from outlay_collector.store.migrate import migrate

Right = Literal["ingest", "read", "admin"]
RIGHTS: Final[tuple[Right, ...]] = get_args(Right)

_PREFIX: Final = "outlay"
_FRESH_S: Final = 5.0
_HELD_S: Final = 600.0
_OPEN: Final = frozenset({"/healthz", "/readyz"})
_LEASES: Final = frozenset({"/api/v1/budgets/leases", "/api/v1/budgets/settle"})
_UNLIMITED: Final = Quota()
_NOBODY: Final = "0" * 64
"""As long as a hash, so that a key nobody has takes as long to refuse as a wrong secret."""


def make_key(
    name: str, right: Right, now_ns: int, pins: Pins | None = None, quota: Quota | None = None
) -> tuple[str, ApiKeyRow]:
    """A new key: what its holder sends, and what is kept of it. `pins`: what all its calls are attributed to."""
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    row = ApiKeyRow(
        id=key_id,
        name=name,
        scope=right,
        secret_sha256=_hashed(secret),
        created_at_ns=now_ns,
        pins=dict(pins) if pins else None,
        quota=quota.kept() if quota else None,
    )
    return f"{_PREFIX}_{key_id}_{secret}", row


def right_for(method: str, path: str) -> Right | None:
    """What a request needs. None: nothing."""
    if path in _OPEN:
        return None
    if path.startswith("/v1/") or path in _LEASES:
        return "ingest"
    return "read" if method in ("GET", "HEAD") else "admin"


def is_metered(path: str) -> bool:
    """Whether a request counts toward its key's quota. Budgets are not to fail because there is much to report."""
    return path not in _LEASES


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a request is turned away, and the HTTP status for it: 401, 403 or 429."""

    status: int
    reason: str
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who was let in: what their key pins, and how much one request may hold beyond the collector's own limit."""

    pins: Pins = field(default_factory=dict)
    body_bytes: int | None = None
    used: Callable[[int], None] = lambda _size: None
    """To be told how many bytes came."""


@dataclass(frozen=True, slots=True)
class _Known:
    right: str
    secret_sha256: str
    pins: Pins
    quota: Quota


class Keys:
    """The keys of a database, read again every few seconds: so long a revoked one may still pass.

    `own`: a secret of this process, for what it starts itself, that may read. What a key has used is counted in this
    process: several collectors on one database each allow it its quota.
    """

    def __init__(
        self, engine: Engine, monotonic: Callable[[], float] = time.monotonic, *, own: str | None = None
    ) -> None:
        self._engine = engine
        self._own = None if own is None else _hashed(own)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._read_at = -_FRESH_S
        self._held_until_s = -1.0
        self._asks = False
        self._known: dict[str, _Known] = {}
        self._meters: dict[str, Meter] = {}

    def admit(self, given: str | None, needed: Right, *, metered: bool = True) -> Caller | Denial:
        """Whether a request with this key may do what it asks. Where `metered` it counts toward the key's quota."""
        with self._lock:
            known = self._fresh()
            if not self._asks:
                return Caller()
        if given is None:
            return Denial(401, "this collector asks for an API key: Authorization: Bearer outlay_...")
        if needed == "read" and self._own is not None and hmac.compare_digest(_hashed(given), self._own):
            return Caller()
        prefix, key_id, secret = _parts(given)
        key = known.get(key_id)
        kept = key.secret_sha256 if key is not None else _NOBODY
        if not hmac.compare_digest(_hashed(secret), kept) or key is None or prefix != _PREFIX:
            return Denial(401, "this API key is not known, or was revoked")
        if key.right not in (needed, "admin"):
            return Denial(403, f"this API key is for {key.right}; this needs one for {needed}")
        return self._measured(key_id, key) if metered else Caller(key.pins, key.quota.body_bytes)

    def _measured(self, key_id: str, key: _Known) -> Caller | Denial:
        if key.quota == _UNLIMITED:
            return Caller(key.pins)
        with self._lock:
            meter = self._meters.get(key_id)
            if meter is None or meter.quota != key.quota:
                meter = self._meters[key_id] = Meter(key.quota, self._monotonic())
        if wait_s := meter.wait_s(self._monotonic()):
            return Denial(429, f"this API key has used up its minute: {_said(key.quota)}", ceil(wait_s))
        return Caller(key.pins, key.quota.body_bytes, meter.used)

    def _fresh(self) -> dict[str, _Known]:
        """While the database does not answer those last read hold, for minutes: so long it can still be asked what is
        wrong. Raises what the database raises where none were read, or too long ago."""
        now_s = self._monotonic()
        if now_s - self._read_at >= _FRESH_S:
            try:
                with reading(self._engine) as connection:
                    rows = read_keys(connection)
            except SQLAlchemyError:
                if self._held_until_s < now_s:
                    raise
                self._read_at = now_s
                return self._known
            self._held_until_s = now_s + _HELD_S
            self._asks = bool(rows)  # revoked ones too: who revokes the last opens nothing
            self._known = {
                row.id: _Known(row.scope, row.secret_sha256, row.pins or {}, Quota.read(row.quota))
                for row in rows
                if not row.revoked_at_ns
            }
            self._meters = {key_id: meter for key_id, meter in self._meters.items() if key_id in self._known}
            self._read_at = now_s
        return self._known


def bearer(authorization: str) -> str | None:
    """The key in the value of an Authorization header; None where it has none."""
    scheme, _, value = authorization.partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value else None


def has_keys(url: str) -> bool:
    """Whether a collector on this database asks for a key. Migrates the database, as the collector is about to."""
    engine = open_engine(url)
    try:
        migrate(engine)
        with reading(engine) as connection:
            return any(row.revoked_at_ns is None for row in read_keys(connection))
    finally:
        engine.dispose()


def _said(quota: Quota) -> str:
    named = (("requests", quota.requests_per_minute), ("bytes", quota.bytes_per_minute))
    return " and ".join(f"{number:,} {what} a minute" for what, number in named if number)


def _parts(key: str) -> tuple[str, str, str]:
    prefix, _, rest = key.partition("_")
    key_id, _, secret = rest.partition("_")
    return prefix, key_id, secret


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
