"""Posting to the collector, once: what it answered, and a warning that says what to look at, once a kind of trouble."""

from __future__ import annotations

import gzip
import logging
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from outlay.settings import Settings

if TYPE_CHECKING:
    import urllib.request

_LOG: Final = logging.getLogger("outlay.export")
_REFUSED: Final = frozenset({400, 415, 422})
"""Answers that the same bytes would get again."""
_TOO_LARGE: Final = 413
_KEY_REFUSED: Final = (401, 403)
_LOOPBACK: Final = ("localhost", "127.", "::1")

Outcome = Literal["taken", "refused", "too large"]


class Later(Exception):
    """Not now: the collector is away, or asks to be left alone for so many seconds (0 where it said nothing)."""

    def __init__(self, seconds: float = 0.0, *, key_refused: bool = False) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        self.key_refused = key_refused


class Post:
    """Posts calls, and figures about them."""

    def __init__(self, settings: Settings) -> None:
        self._endpoint = settings.endpoint
        host = urlsplit(settings.endpoint).hostname or ""
        self._is_local = host.startswith(_LOOPBACK)
        self._headers = {**settings.headers, "Content-Type": "application/x-protobuf", "User-Agent": "outlay"}
        self._said: set[str] = set()

    def calls(self, body: bytes, timeout_s: float) -> Outcome:
        """Send calls. Raises `Later`."""
        import http.client

        url = f"{self._endpoint}/v1/traces"
        try:
            status, wait = self._send(url, body, timeout_s)
        except (OSError, http.client.HTTPException) as error:
            message = "%s cannot be reached (%s); calls wait and are sent later"
            self._say_once(type(error).__name__, message, url, error)
            raise Later from None
        if 200 <= status < 300:
            self._said.clear()
            return "taken"
        if status == _TOO_LARGE:
            return "too large"
        if status in _REFUSED:
            self._say_once(str(status), "%s refused a batch for good (status %s); its calls are lost", url, status)
            return "refused"
        message = "%s answered %s; calls wait and are sent later%s"
        self._say_once(str(status), message, url, status, _advice(status))
        raise Later(wait, key_refused=status in _KEY_REFUSED)

    def figures(self, body: bytes, timeout_s: float) -> None:
        """Send metrics. Raises `Later` where they may be taken another time; one that never takes them is let be."""
        import http.client

        try:
            status, wait = self._send(f"{self._endpoint}/v1/metrics", body, timeout_s)
        except (OSError, http.client.HTTPException):
            raise Later from None
        if status == 429 or status >= 500:
            raise Later(wait)

    def _send(self, url: str, body: bytes, timeout_s: float) -> tuple[int, float]:
        """Status, and how long the collector asked to be left alone."""
        import urllib.request

        headers = dict(self._headers)
        if not self._is_local:
            body, headers["Content-Encoding"] = gzip.compress(body, 5), "gzip"
        request = urllib.request.Request(url, body, headers, method="POST")
        with self._opener().open(request, timeout=timeout_s) as response:
            wait = response.headers.get("Retry-After", "")
            response.read()
            return response.status, float(wait) if wait.isdigit() else 0.0

    def _opener(self) -> urllib.request.OpenerDirector:
        """Follows no redirect: a redirected POST comes back as an answered GET. No proxy for this machine itself."""
        import urllib.request

        opener = urllib.request.OpenerDirector()
        opener.add_handler(urllib.request.ProxyHandler({} if self._is_local else None))
        opener.add_handler(urllib.request.HTTPHandler())
        opener.add_handler(urllib.request.HTTPSHandler())
        return opener

    def _say_once(self, kind: str, message: str, *details: object) -> None:
        if kind not in self._said:
            self._said.add(kind)
            _LOG.warning(message, *details)


def _advice(status: int) -> str:
    return "; check OUTLAY_API_KEY" if status in _KEY_REFUSED else "; check OUTLAY_ENDPOINT" if status == 404 else ""
