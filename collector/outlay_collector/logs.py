"""How the collector's log is written: lines for people, or one JSON object a line for machines. Always on stderr.

Whatever is logged while a request is answered carries its id. Secrets are not logged by anyone; what looks like one is
taken out here all the same, because an exception's text is not always ours.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson

REQUEST_ID: Final[ContextVar[str | None]] = ContextVar("outlay_request_id", default=None)
"""The id of the request that is being answered; None beside requests."""

LogFormat = Literal["text", "json"]

_ID: Final = re.compile(r"[\w.:-]{1,64}")
_OURS: Final = ("outlay", "outlay_alerts", "outlay_collector")
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "request_id", "color_message"}
_SECRETS: Final = re.compile(
    r"(?P<key>\boutlay_[0-9a-f]{12}_)[\w-]+"
    r"|(?P<scheme>\b(?:bearer|basic)\s+)[\w.~+/=-]+"
    r"|(?P<user>://[^\s:/@]*:)[^\s@]+(?=@)"
    r"|(?P<provider>\bsk-)[\w-]{8,}",
    re.IGNORECASE,
)


def request_id(given: str) -> str:
    """The id a request came with, where it is one that can be logged; else a new one."""
    return given if _ID.fullmatch(given) else secrets.token_hex(8)


def without_secrets(text: str) -> str:
    """The text with API keys, credentials of an Authorization header and passwords of URLs taken out."""
    return _SECRETS.sub(lambda match: f"{match[match.lastgroup or 0]}***", text)


def write_logs(log_format: LogFormat) -> None:
    """Set up the log of this process: warnings of everyone, and what Outlay's own parts have to say."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra`, and the request's id."""
    of_request = REQUEST_ID.get()
    named = {} if of_request is None else {"request_id": of_request}
    return named | {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


def _at(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class TextLines(logging.Formatter):
    """`2026-11-20T12:00:00.000Z WARNING outlay_collector.writer: message name=value`, and a traceback under it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{_at(record)} {record.levelname} {record.name}: {record.getMessage()}{fields}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return without_secrets(line)


class JsonLines(logging.Formatter):
    """One object a line: `time level logger message`, `request_id` and further fields where there are any, `error`."""

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, Any] = {
            "time": _at(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info and record.exc_info[0] is not None:
            kind, error, _ = record.exc_info
            document["error"] = {
                "type": kind.__name__,
                "message": str(error),
                "trace": self.formatException(record.exc_info),
            }
        return without_secrets(orjson.dumps(document, default=str).decode())
