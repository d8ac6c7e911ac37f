"""One request to the collector: sent, and answered in full, within a time, or given up.

The time is that of the whole exchange. A timeout of a socket starts anew with every byte, so that an answer that
trickles in would hold whoever waits for it for as long as it likes. No redirect is followed: a redirected POST comes
back as an answered GET, and would carry the key elsewhere. This machine itself is reached without a proxy. None of it
is in a trace of the application's.

Imported at the first request: what it needs of the standard library is slow to import.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - a socket does at the first name, where a fork might come between
import io
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

from outlay.loopback import is_local

__all__ = ["Answer", "HTTPException", "post"]
MOST_BYTES: Final = 16 * 1024 * 1024
"""More than the collector has to say; what comes behind is left."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `headers` finds a header by its name, in any case; `body` is empty where it did not come."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def post(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Answer:
    """Send it, once. Raises `OSError` (of which `TimeoutError` is one), `HTTPException`, and `ValueError` where the
    answer's headers are no HTTP."""
    until = time.monotonic() + timeout_s
    request = _Request(url, body, dict(headers), method="POST")
    request.until = until
    with _untraced(), _opener(is_local(url)).open(request, timeout=timeout_s) as response:
        try:
            read = response.read(MOST_BYTES)
        except (OSError, HTTPException):
            read = b""  # what the status says holds all the same
        return Answer(response.status, response.headers, read)


@contextmanager
def _untraced() -> Iterator[None]:
    """OpenTelemetry's instrumentations of HTTP clients let it pass."""
    token = otel_context.attach(otel_context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        yield
    finally:
        otel_context.detach(token)


@lru_cache(maxsize=2)
def _opener(is_here: bool) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.ProxyHandler({} if is_here else None))
    opener.add_handler(_Http())
    opener.add_handler(_Https())
    return opener


@cache
def _trusted() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class _Request(urllib.request.Request):
    until: float
    """By when it has to be answered."""


class _Http(urllib.request.AbstractHTTPHandler):
    http_request = urllib.request.AbstractHTTPHandler.do_request_

    def http_open(self, request: _Request) -> HTTPResponse:
        return self.do_open(partial(_Plain, request.until), request)


class _Https(urllib.request.AbstractHTTPHandler):
    https_request = urllib.request.AbstractHTTPHandler.do_request_

    def https_open(self, request: _Request) -> HTTPResponse:
        return self.do_open(partial(_Encrypted, request.until, context=_trusted()), request)


class _Plain(HTTPConnection):
    """Connects, sends and answers by that time."""

    def __init__(self, until: float, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._until = until
        self._create_connection = partial(_connected, until)
        self.response_class = partial(_response, until)  # type: ignore[assignment]  # it is only called

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(_left_s(self._until))  # of which sending may take all


def _connected(until: float, address: tuple[str, int], *_: object) -> socket.socket:
    """To the first of a name's addresses that answers. Each has its part of the time: a silent one leaves the next its
    own."""
    found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    last = OSError(f"{address[0]} has no address")
    for at, (family, kind, protocol, _name, place) in enumerate(found):
        try:
            return _reached(socket.socket(family, kind, protocol), place, until, len(found) - at)
        except OSError as error:
            last = error
    raise last


def _reached(sock: socket.socket, place: Any, until: float, addresses: int) -> socket.socket:
    try:
        sock.settimeout(_left_s(until) / addresses)
        sock.connect(place)
        sock.settimeout(_left_s(until))
    except BaseException:
        sock.close()
        raise
    return sock


class _Encrypted(_Plain, HTTPSConnection):
    pass


def _response(until: float, sock: socket.socket, *args: Any, **kwargs: Any) -> HTTPResponse:
    return HTTPResponse(_Readable(sock, until), *args, **kwargs)  # type: ignore[arg-type]  # of a socket it takes that one method


def _left_s(until: float) -> float:
    left_s = until - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("timed out")
    return left_s


@dataclass(frozen=True, slots=True)
class _Readable:
    """A socket, as far as a response needs one."""

    sock: socket.socket
    until: float

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Bytes(self.sock, self.until))


class _Bytes(io.RawIOBase):
    """What comes over a socket until that time."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        super().__init__()
        self._sock = sock
        self._until = until
        self._incoming = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_left_s(self._until))
        return self._incoming.readinto(buffer)

    def close(self) -> None:
        self._incoming.close()
        super().close()
