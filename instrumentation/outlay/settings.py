"""What can be set from outside: one table of `OUTLAY_*` variables, and how they are read.

An argument of `instrument()` wins over its variable, a variable over the standard OpenTelemetry one that means the
same, that over the default.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from outlay.baggage import FIELDS, is_field
from outlay.content import ContentMode, ContentPolicy
from outlay.errors import ConfigError, nearest

DEFAULT_ENDPOINT: Final = "http://127.0.0.1:4318"
_DAY_S: Final = 86_400
_MOST: Final = {"OUTLAY_QUEUE_CALLS": 10_000_000}
"""Each takes a byte, queued or not."""
_MOST_OF_ALL: Final = 10**15
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HIDDEN: Final = "[hidden]"
"""In a message, in the place of a secret."""
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_FALSE: Final = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable. `kind` says how its text is read, `unit` what a number counts, `help` what it decides."""

    variable: str
    kind: str
    default: str
    help: str
    unit: str | None = None


SETTINGS: Final = {
    setting.variable: setting
    for setting in (
        Setting("OUTLAY_ENDPOINT", "url", DEFAULT_ENDPOINT, "Where the collector listens for OTLP over HTTP."),
        Setting("OUTLAY_API_KEY", "text", "", "The key the collector asks for, where it asks for one."),
        Setting("OUTLAY_SERVICE", "text", "", "The service that spends."),
        Setting("OUTLAY_ENVIRONMENT", "text", "", "The environment it runs in."),
        Setting("OUTLAY_DISABLED", "switch", "off", "Makes instrument() do nothing."),
        Setting("OUTLAY_STRICT", "switch", "off", "Raises errors of Outlay's own instead of logging them: for tests."),
        Setting("OUTLAY_BUDGETS_REQUIRED", "switch", "off", "Lets no call pass before the budgets are known."),
        Setting(
            "OUTLAY_BAGGAGE",
            "fields",
            "",
            "Attribution that goes on to other services and is taken from them, in W3C baggage: a list such as "
            "`tenant,feature,session,user,tag.team`. Nothing else is carried, and nothing to a provider.",
        ),
        Setting(
            "OUTLAY_CAPTURE_CONTENT",
            "mode",
            "off",
            "Whether prompts and answers leave the process: `off`, `redacted` (without personal data and secrets) or "
            "`full`.",
        ),
        Setting("OUTLAY_CONTENT_SAMPLE", "share", "1", "The share of calls whose content is kept; costs are of all."),
        Setting("OUTLAY_CONTENT_MAX_CHARS", "count", "16384", "The most of one text that is kept.", "characters"),
        Setting("OUTLAY_REDACT", "pattern", "", "A regular expression for what else `redacted` takes out."),
        Setting("OUTLAY_QUEUE_CALLS", "count", "20000", "How many finished calls wait for the collector.", "calls"),
        Setting(
            "OUTLAY_SPOOL_DIR",
            "folder",
            "~/.local/state/outlay/spool",
            "Where finished calls are written down until the collector has them; below `XDG_STATE_HOME` where that is "
            "set. Empty or `off`: they wait in memory.",
        ),
        Setting("OUTLAY_SPOOL_MAX_BYTES", "count", "268435456", "How much that folder may hold.", "bytes"),
        Setting("OUTLAY_SPOOL_MAX_AGE", "duration", "7d", "How long a call may wait there: a number and s, m, h or d."),
        Setting("OUTLAY_EXPORT_INTERVAL_S", "seconds", "1", "How long a finished call waits to be sent.", "s"),
        Setting("OUTLAY_EXPORT_TIMEOUT_S", "seconds", "10", "How long the collector may take to answer.", "s"),
        Setting("OUTLAY_EXIT_FLUSH_S", "seconds", "3", "How long the end of the process may wait for sending.", "s"),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one process. `headers` go with every export, the key among them."""

    endpoint: str
    api_key: str | None
    service: str | None
    environment: str | None
    disabled: bool
    strict: bool
    budgets_required: bool
    baggage: tuple[str, ...]
    """Fields of the attribution that services pass on to one another."""
    content: ContentPolicy
    queue_calls: int
    spool_dir: Path | None
    """None where nothing is written to disk."""
    spool_max_bytes: int
    spool_max_age_ns: int
    export_interval_s: float
    export_timeout_s: float
    exit_flush_s: float
    headers: Mapping[str, str]


def read_settings(
    variables: Mapping[str, str],
    *,
    endpoint: str | None = None,
    api_key: str | None = None,
    service: str | None = None,
    environment: str | None = None,
    redact: Sequence[str] = (),
) -> Settings:
    """Settings from arguments and variables. Raises `ConfigError` naming the variable, its value and what would do."""
    key = _key(variables, api_key)
    resource = _pairs(variables, "OTEL_RESOURCE_ATTRIBUTES")
    return Settings(
        endpoint=_endpoint(variables, endpoint),
        api_key=key,
        service=service
        or variables.get("OUTLAY_SERVICE")
        or variables.get("OTEL_SERVICE_NAME")
        or resource.get("service.name"),
        environment=environment
        or variables.get("OUTLAY_ENVIRONMENT")
        or resource.get("deployment.environment.name")
        or resource.get("deployment.environment"),
        disabled=_switch(variables, "OUTLAY_DISABLED"),
        strict=_switch(variables, "OUTLAY_STRICT"),
        budgets_required=_switch(variables, "OUTLAY_BUDGETS_REQUIRED"),
        baggage=_baggage(variables),
        content=_content(variables, redact),
        queue_calls=_count(variables, "OUTLAY_QUEUE_CALLS"),
        spool_dir=_spool_dir(variables),
        spool_max_bytes=_count(variables, "OUTLAY_SPOOL_MAX_BYTES"),
        spool_max_age_ns=_duration_ns(variables, "OUTLAY_SPOOL_MAX_AGE"),
        export_interval_s=_seconds(variables, "OUTLAY_EXPORT_INTERVAL_S"),
        export_timeout_s=_seconds(variables, "OUTLAY_EXPORT_TIMEOUT_S"),
        exit_flush_s=_seconds(variables, "OUTLAY_EXIT_FLUSH_S"),
        headers=_headers(variables, key),
    )


def _text(variables: Mapping[str, str], name: str) -> str:
    return variables.get(name) or SETTINGS[name].default


def _wrong(name: str, value: Any, expected: str) -> ConfigError:
    return ConfigError("environment", name, value, expected)


def _endpoint(variables: Mapping[str, str], argument: str | None) -> str:
    if argument is not None:
        return _url("instrument()", "endpoint", argument)
    for name in ("OUTLAY_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        if variables.get(name):
            return _url("environment", name, variables[name])
    return DEFAULT_ENDPOINT


def _url(source: str, key: str, value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if "@" in value:
        hidden = re.sub("//.*@", "//[hidden]@", value)
        raise ConfigError(source, key, hidden, "a URL without user and password; a key goes into OUTLAY_API_KEY")
    if not usable or not _can_be_sent(value) or " " in value:
        raise ConfigError(source, key, value, f"an http or https URL such as {DEFAULT_ENDPOINT}")
    return value.rstrip("/")


def _key(variables: Mapping[str, str], argument: str | None) -> str | None:
    """Without the line break at the end of the file it may have been read from."""
    key = (argument or variables.get("OUTLAY_API_KEY") or "").strip()
    if not _can_be_sent(key):
        source, name = ("instrument()", "api_key") if argument else ("environment", "OUTLAY_API_KEY")
        raise ConfigError(source, name, _HIDDEN, "a key in ASCII, in one line")
    return key or None


def _can_be_sent(value: str) -> bool:
    """Whether a header of a request can hold it."""
    return value.isascii() and value.isprintable()


def _switch(variables: Mapping[str, str], name: str) -> bool:
    value = _text(variables, name)
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise _wrong(name, value, "one of 1, true, yes, on, or 0, false, no, off")


def _baggage(variables: Mapping[str, str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in _text(variables, "OUTLAY_BAGGAGE").split(",") if name.strip())
    for name in names:
        if not is_field(name):
            raise _wrong("OUTLAY_BAGGAGE", name, f"{', '.join(FIELDS)}{nearest(name, FIELDS)}")
    return names


def _content(variables: Mapping[str, str], redact: Sequence[str]) -> ContentPolicy:
    mode, share = _text(variables, "OUTLAY_CAPTURE_CONTENT").lower(), _text(variables, "OUTLAY_CONTENT_SAMPLE")
    modes = [each.value for each in ContentMode]
    if mode not in modes:
        raise _wrong("OUTLAY_CAPTURE_CONTENT", mode, f"one of {', '.join(modes)}{nearest(mode, modes)}")
    try:
        kept = float(share)
    except ValueError:
        kept = math.nan
    if not 0 <= kept <= 1:
        raise _wrong("OUTLAY_CONTENT_SAMPLE", share, "a share from 0 to 1, such as 0.1")
    said = variables.get("OUTLAY_REDACT")
    patterns = [("instrument()", "redact", pattern) for pattern in redact]
    patterns += [("environment", "OUTLAY_REDACT", said)] if said else []
    for source, key, pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ConfigError(source, key, pattern, f"a regular expression ({error})") from error
    most = _count(variables, "OUTLAY_CONTENT_MAX_CHARS")
    return ContentPolicy(ContentMode(mode), most, kept, tuple(pattern for _, _, pattern in patterns))


def _count(variables: Mapping[str, str], name: str) -> int:
    value = _text(variables, name)
    unit, most = SETTINGS[name].unit, _MOST.get(name, _MOST_OF_ALL)
    if value.isascii() and value.isdigit() and len(value) <= len(str(most)) and 0 < int(value) <= most:
        return int(value)
    raise _wrong(name, value, f"a whole number of {unit} from 1 to {most:,}, such as {SETTINGS[name].default}")


def _seconds(variables: Mapping[str, str], name: str) -> float:
    value = _text(variables, name)
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if 0 < seconds <= _DAY_S:
        return seconds
    raise _wrong(name, value, f"a number of seconds above 0, a day at most, such as {SETTINGS[name].default}")


def _duration_ns(variables: Mapping[str, str], name: str) -> int:
    value = _text(variables, name)
    number, unit = value[:-1].strip(), value[-1:]
    if number.isascii() and number.isdigit() and int(number) > 0 and unit in _UNITS_S:
        return int(number) * _UNITS_S[unit] * 1_000_000_000
    raise _wrong(name, value, f"a whole number above 0 and one of {', '.join(_UNITS_S)}, such as 12h")


def _spool_dir(variables: Mapping[str, str]) -> Path | None:
    said = variables.get("OUTLAY_SPOOL_DIR")
    if said is None:
        return _default_spool_dir(variables)
    if said.lower() in _FALSE:
        return None
    path = Path(said)
    if not path.is_absolute():
        raise _wrong("OUTLAY_SPOOL_DIR", said, "an absolute path, or off")
    return path


def _default_spool_dir(variables: Mapping[str, str]) -> Path | None:
    """The user's own. None where nobody can tell whose process this is."""
    state = variables.get("XDG_STATE_HOME") or ""
    home = os.path.expanduser("~")
    folder = state if os.path.isabs(state) else os.path.join(home, ".local", "state")
    return Path(folder, "outlay", "spool") if os.path.isabs(folder) else None


def _headers(variables: Mapping[str, str], key: str | None) -> dict[str, str]:
    headers = _pairs(variables, "OTEL_EXPORTER_OTLP_HEADERS")
    for name, value in headers.items():
        if not (_HEADER.fullmatch(name) and _can_be_sent(value)):
            raise _wrong("OTEL_EXPORTER_OTLP_HEADERS", f"{name}={_HIDDEN}", "headers as name=value,name=value in ASCII")
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    return headers


def _pairs(variables: Mapping[str, str], name: str) -> dict[str, str]:
    """`key=value,key=value` with percent-encoding, as OpenTelemetry writes lists in a variable."""
    pairs = (entry.partition("=") for entry in variables.get(name, "").split(",") if "=" in entry)
    return {unquote(key).strip(): unquote(value).strip() for key, _, value in pairs}
