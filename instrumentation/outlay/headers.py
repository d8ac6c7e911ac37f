"""What response headers say: the request's id, when to try again, and how much of the rate limits is left.

OpenAI, Azure, Groq, xAI and those who follow them send `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` with
resets such as `6m0s` or `20ms`; Anthropic sends `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-
{limit,remaining,reset}` with RFC 3339 resets; Mistral `x-ratelimit-{limit,remaining}-{req,tokens}-minute`, without
resets, and `x-ratelimitbysize-{limit,remaining}-minute` and `ratelimitbysize-{limit,remaining,reset}` for its tokens
before that; Azure a `renewalperiod` beside each. Replicate's `ratelimit-{remaining,reset}` are the draft standard's.
Read from what providers sent until November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from outlay.model import RateLimit

RawHeaders = Iterable[tuple[bytes, bytes]]

_REQUEST_IDS: Final = frozenset({b"x-request-id", b"request-id", b"x-amzn-requestid", b"mistral-correlation-id"})
_PART: Final = re.compile(r"([\d.]+)(ms|h|m|s|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_WHAT: Final = ("limit", "remaining", "reset", "renewalperiod")
_WHOLE_NAMES: Final = {"ratelimit": "requests", "ratelimitbysize": "tokens"}
"""What is limited where a header names no more than its family."""


def read_headers(headers: RawHeaders, now_ns: int) -> tuple[str | None, Mapping[str, RateLimit]]:
    """The provider's id of the request and the headroom by what is limited (`requests`, `tokens`, ...)."""
    request_id = None
    said: dict[str, dict[str, str]] = {}
    for raw_name, raw_value in headers:
        if (told := _told(raw_name)) is None:
            continue
        limited, what = told
        if limited is None:
            request_id = raw_value.decode("latin-1")
        else:
            said.setdefault(limited, {})[what] = raw_value.decode("latin-1")
    return request_id, {name: _limit(values, now_ns) for name, values in said.items()}


@lru_cache(maxsize=256)
def _told(raw_name: bytes) -> tuple[str | None, str] | None:
    """What is limited, and which of its figures a header tells; nothing is limited where it tells the request's id.
    None for one that tells neither, as nearly all of the twenty do that come with an answer."""
    name = raw_name.lower()
    if name in _REQUEST_IDS:
        return None, "id"
    return _limit_told(name.decode("latin-1")) if b"ratelimit" in name else None


def _limit_told(header: str) -> tuple[str, str] | None:
    """Mistral's `req-minute` is what others call requests; its other periods keep their name."""
    family, *words = header[header.index("ratelimit") :].split("-")
    what = next((word for word in (words[0], words[-1]) if word in _WHAT), None) if words else None
    if what is None or family not in _WHOLE_NAMES:
        return None
    words.remove(what)
    if not words or family == "ratelimitbysize":
        words.insert(0, _WHOLE_NAMES[family])
    if words[0] == "req":
        words[0] = "requests"
    return "_".join(words[:-1] if words[-1] == "minute" else words), what


def raw_headers(headers: Mapping[str, str]) -> RawHeaders:
    """Headers of a client that has them decoded, as `read_headers` takes them."""
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _limit(said: Mapping[str, str], now_ns: int) -> RateLimit:
    """A reset later than the limit is renewed is none: Azure has sent 500 for a limit of one minute."""
    reset_s, period_s = _until(said.get("reset"), now_ns), _whole(said.get("renewalperiod"))
    if reset_s is not None and period_s is not None and reset_s > period_s:
        reset_s = None
    return RateLimit(limit=_whole(said.get("limit")), remaining=_whole(said.get("remaining")), reset_s=reset_s)


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 16 else None


def _until(text: str | None, now_ns: int) -> float | None:
    """Seconds until a reset given as a duration, as plain seconds, or as a point in time; None where it is neither."""
    if not text:
        return None
    if "T" in text:
        try:
            return max(0.0, datetime.fromisoformat(text).timestamp() - now_ns / 1e9)
        except ValueError:
            return None
    text = text.partition(",")[0].strip()  # OpenAI has sent the request's id behind one
    parts = _PART.findall(text)
    try:
        return sum(float(amount) * _SECONDS[unit] for amount, unit in parts) if parts else float(text)
    except ValueError:
        return None


def retry_after_s(headers: Mapping[str, str], now_ns: int) -> float | None:
    """How long the provider asked to wait, None where it did not say."""
    milliseconds, seconds = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if milliseconds:
            return float(milliseconds) / 1000
        if seconds:
            return float(seconds) if seconds[0].isdigit() else _from_date(seconds, now_ns)
    except ValueError:
        pass
    return None


def _from_date(text: str, now_ns: int) -> float:
    return max(0.0, parsedate_to_datetime(text).timestamp() - now_ns / 1e9)
