"""Posting to the collector, once: what it answered, and a warning that says what to look at, once a kind of trouble."""

from __future__ import annotations

import gzip
import logging
from typing import Final, Literal

from outlay.settings import Settings
from outlay.unforked import unforked

_LOG: Final = logging.getLogger("outlay.export")
_REFUSED: Final = frozenset({400, 415, 422})
"""Answers that the same bytes would get again."""
_TOO_LARGE: Final = 413
_KEY_REFUSED: Final = (401, 403)
_AGAIN: Final = (*_KEY_REFUSED, 408, 429)

Outcome = Literal["taken", "refused", "too large"]
_MOST_WAIT_S: Final = 3600.0
"""However long the collector asks to be left alone for."""


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
        self._headers = {**settings.headers, "Content-Type": "application/x-protobuf", "User-Agent": "outlay"}
        self._said: set[str] = set()

    def calls(self, body: bytes, timeout_s: float) -> Outcome:
        """Send calls. Raises `Later`."""
        with unforked():
            from outlay.exchange import HTTPException

        url = f"{self._endpoint}/v1/traces"
        try:
            status, wait = self._send(url, body, timeout_s)
        except (OSError, HTTPException) as error:
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

    def figures(self, body: bytes, timeout_s: float) -> bool:
        """Send metrics. False where nobody is there to take them just now; one that never takes these is let be. Raises
        `Later` where no calls are taken either."""
        with unforked():
            from outlay.exchange import HTTPException

        try:
            status, wait = self._send(f"{self._endpoint}/v1/metrics", body, timeout_s)
        except (OSError, HTTPException):
            raise Later from None
        if status in _AGAIN or status >= 500:
            raise Later(wait, key_refused=status in _KEY_REFUSED)
        return 200 <= status < 300 or status in _REFUSED or status == _TOO_LARGE

    def _send(self, url: str, body: bytes, timeout_s: float) -> tuple[int, float]:
        """Status, and how long the collector asked to be left alone."""
        from outlay.exchange import post
        from outlay.loopback import is_local

        headers = dict(self._headers)
        if not is_local(url):
            body, headers["Content-Encoding"] = gzip.compress(body, 5), "gzip"
        answer = post(url, body, headers, timeout_s)
        wait = answer.headers.get("Retry-After", "")
        return answer.status, min(float(wait), _MOST_WAIT_S) if wait.isascii() and wait.isdigit() else 0.0

    def _say_once(self, kind: str, message: str, *details: object) -> None:
        if kind not in self._said:
            self._said.add(kind)
            _LOG.warning(message, *details)


def _advice(status: int) -> str:
    return "; check OUTLAY_API_KEY" if status in _KEY_REFUSED else "; check OUTLAY_ENDPOINT" if status == 404 else ""
