"""The collector's configuration: outlay.toml, what the environment says over it, and the secrets both point to.

A section is a pydantic model here; each `[[entry]]` belongs to whoever acts on it and is handed over to them to read.
Whatever cannot be used is a `ConfigError` that names the file (or the environment), the key, the value and the way out.
A setting nobody knows is an error too: it would otherwise be a budget or a rule that is silently not there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from outlay.budgets.budget import Budget
from outlay.budgets.definition import read_budgets
from outlay.errors import ConfigError, nearest
from outlay.prices import Override, read_overrides
from outlay_alerts.config import Channel, check_references, read_channels, read_rules
from outlay_alerts.duration import Duration
from outlay_alerts.rules import Rule
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SkipValidation,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from sqlalchemy.engine import make_url

from outlay_collector.content import Keep
from outlay_collector.reports.schedule import ScheduledReport, check_channels, read_reports
from outlay_collector.toml import entries_in, read_toml

DEFAULT_FILE: Final = Path("outlay.toml")
ENVIRONMENT: Final = "environment"

_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
_FILE: Final = "_file"


Kept = Annotated[Duration, Field(ge=timedelta(days=1))]


def _read_port(value: object) -> object:
    return None if value in ("off", "0", 0) else value


PortOrOff = Annotated[Annotated[int, Field(ge=1, le=65535)] | None, BeforeValidator(_read_port)]


class Section(BaseModel):
    """A table of outlay.toml. The text under a field is its line in docs/configuration.md."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Server(Section):
    """`[server]`: where the collector listens and how much it takes."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = Field(default=4318, ge=0, le=65535)
    """The port of OTLP over HTTP and of the API; 0 takes a free one."""
    grpc_port: PortOrOff = 4317
    """The port of OTLP over gRPC, where `grpcio` is installed; `off` or 0: none."""
    max_body_bytes: int = Field(default=16 * 1024 * 1024, gt=0)
    """The most one request may hold, as it comes and inflated, in bytes."""
    queue_spans: int = Field(default=50_000, gt=0)
    """How many spans may wait for their commit before senders are told to come back."""
    log_format: Literal["text", "json"] = "text"
    """How the log on stderr is written: lines for people, or one JSON object a line."""
    log_requests: bool = False
    """Whether every request is a line of the log."""


class Store(Section):
    """`[store]`: the database."""

    url: str = "sqlite:///outlay.db"
    """`sqlite:///file.db`, four slashes for an absolute path, or `postgresql://user:password@host/database`."""
    synchronous: Literal["full", "normal"] = "full"
    """SQLite's: `full`, and what was acknowledged survives a power cut, or `normal`: the last seconds may not."""

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return make_url(self.url).render_as_string(hide_password=True)


class ContentSection(Section):
    """`[content]`: prompts and answers that applications send."""

    keep: Keep = "redacted"
    """`off`, `redacted` (once more, whatever their application did) or `full` (as it was sent)."""


class Retention(Section):
    """`[retention]`: how long each class of data is kept."""

    content: Kept = timedelta(days=7)
    """Prompts and answers."""
    spans: Kept = timedelta(days=30)
    """Which spans told of a call and what each said, and with them past alerts, silences and events of budgets."""
    calls: Kept = timedelta(days=3 * 365)
    """The calls themselves, with their spans. Their sums stay."""
    rollups: Kept | None = None
    """Their sums, by whole weeks; as long as `calls` at least. Without it for good."""

    @field_validator("rollups")
    @classmethod
    def _outlives_its_calls(cls, rollups: timedelta | None, said: ValidationInfo) -> timedelta | None:
        if rollups is not None and rollups < (calls := said.data.get("calls", rollups)):
            raise ValueError(f"as long as calls are kept or longer: {calls.days}d")
        return rollups


class Alerts(Section):
    """`[alerts]`: whether rules are looked at, and how often."""

    enabled: bool = True
    every: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=15)


class Settings(BaseModel):
    """Everything a collector is told when it starts."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    server: Server = Server()
    store: Store = Store()
    content: ContentSection = ContentSection()
    retention: Retention = Retention()
    alerts: Alerts = Alerts()
    budgets: SkipValidation[tuple[Budget, ...] | None] = None
    """None where nobody looked for any: those in the database then stay as they are."""
    rules: SkipValidation[tuple[Rule, ...]] = ()
    channels: SkipValidation[tuple[Channel, ...]] = ()
    prices: SkipValidation[tuple[Override, ...]] = ()
    reports: SkipValidation[tuple[ScheduledReport, ...]] = ()


_SECTIONS: Final[dict[str, type[Section]]] = {
    "server": Server,
    "store": Store,
    "content": ContentSection,
    "retention": Retention,
    "alerts": Alerts,
}
_ENTRIES: Final[dict[str, tuple[str, Callable[..., Any]]]] = {
    "budget": ("budgets", read_budgets),
    "rule": ("rules", read_rules),
    "channel": ("channels", read_channels),
    "price": ("prices", read_overrides),
    "report": ("reports", read_reports),
}


def read_settings(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a file, with `OUTLAY_SECTION_KEY` of the environment over it.

    Without a path: outlay.toml in the working folder where there is one, else the defaults. Raises `ConfigError`.
    """
    if path is None and not DEFAULT_FILE.is_file():
        return _settings_of({}, str(DEFAULT_FILE), environ)
    path = path or DEFAULT_FILE
    return _settings_of(read_toml(path), str(path), environ)


def _settings_of(document: dict[str, Any], source: str, environ: Mapping[str, str]) -> Settings:
    for name, value in document.items():
        if name not in _SECTIONS and name not in _ENTRIES:
            raise ConfigError(source, name, value, _known("a section", name, (*_SECTIONS, *_ENTRIES)))
    resolved = {name: _resolve(value, name, source, environ) for name, value in document.items()}
    settings: dict[str, Any] = {}
    for name, section in _SECTIONS.items():
        settings[name] = _read_section(name, section, resolved.get(name, {}), source, environ)
    for name, (field, read) in _ENTRIES.items():
        settings[field] = read(entries_in(resolved, name, source), source)
    check_references(settings["rules"], settings["channels"], source)
    check_channels(settings["reports"], settings["channels"], source)
    return Settings(**settings)


def _read_section(name: str, section: type[Section], table: object, source: str, environ: Mapping[str, str]) -> Section:
    if not isinstance(table, dict):
        raise ConfigError(source, name, table, f"a table: [{name}]")
    for key, value in table.items():
        if key not in section.model_fields:
            raise ConfigError(source, f"{name}.{key}", value, _known("a setting", key, section.model_fields))
    from_environment = _from_environment(name, section, environ)
    try:
        return section(**{**table, **from_environment})
    except ValidationError as error:
        first = error.errors()[0]
        key, value = str(first["loc"][0]), first["input"]
        expected = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
        if key in from_environment:
            raise ConfigError(ENVIRONMENT, _variable(name, key), value, expected) from None
        raise ConfigError(source, f"{name}.{key}", value, expected) from None


def _from_environment(name: str, section: type[Section], environ: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for key in section.model_fields:
        variable = _variable(name, key)
        if variable in environ:
            found[key] = environ[variable]
        elif (pointer := variable + _FILE.upper()) in environ:
            found[key] = _read_secret(environ[pointer], pointer, ENVIRONMENT)
    return found


def _variable(section: str, key: str) -> str:
    return f"OUTLAY_{section}_{key}".upper()


def _resolve(value: Any, key: str, source: str, environ: Mapping[str, str]) -> Any:
    """The value with every `${VAR}` filled in and every `x_file` replaced by `x`, what that file holds."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: _environment_value(match[1], key, source, environ), value)
    if isinstance(value, list):
        return [_resolve(item, f"{key}[{place}]", source, environ) for place, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    table = {name: _resolve(item, f"{key}.{name}", source, environ) for name, item in value.items()}
    for name in [name for name in table if name.endswith(_FILE) and isinstance(table[name], str)]:
        table[name.removesuffix(_FILE)] = _read_secret(table.pop(name), f"{key}.{name}", source)
    return table


def _environment_value(variable: str, key: str, source: str, environ: Mapping[str, str]) -> str:
    if variable not in environ:
        raise ConfigError(source, key, f"${{{variable}}}", f"the environment variable {variable} to be set")
    return environ[variable]


def _read_secret(path: str, key: str, source: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(source, key, path, "a text file that can be read") from None


def _known(what: str, name: str, known: Any) -> str:
    return f"{what} that exists{nearest(name, known) or ': ' + ', '.join(known)}"
