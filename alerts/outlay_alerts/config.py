"""Reads `[[rule]]` and `[[channel]]` into what they mean, or says which key is wrong and what would be right.

Where the entries come from (a file, the environment, `${VAR}`) is the caller's business; `source` is its name for
messages. A channel's URL holds secrets: it is never part of a message, a repr or a dump.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from outlay.errors import ConfigError, nearest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails

from outlay_alerts.rules import KINDS, Rule

_Model = TypeVar("_Model", bound=BaseModel)


class Channel(BaseModel):
    """Where alerts go: a name to refer to, and a URL."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=100, description="What rules call it.")
    url: SecretStr = Field(
        description="An Apprise URL, or the `https://` address of a Slack-compatible incoming webhook. A secret."
    )
    send_resolved: bool = Field(default=True, description="Whether it is also told when a rule is resolved.")

    @field_validator("url")
    @classmethod
    def _usable(cls, url: SecretStr) -> SecretStr:
        from outlay_alerts.channels import usable  # Apprise takes 0.4 s to import; most commands read no channel

        if not usable(url.get_secret_value()):
            raise ValueError(
                "an Apprise URL (slack://..., mailto://...) or the https:// address of an incoming webhook"
            )
        return url


def read_rules(entries: Sequence[Mapping[str, Any]], source: str) -> tuple[Rule, ...]:
    """The rules, in their order. Raises `ConfigError` for the first wrong key; names of rules are unique."""
    rules: list[Rule] = []
    for index, entry in enumerate(entries):
        path = f"rule[{index}]"
        if not isinstance(entry, Mapping):
            raise ConfigError(source, path, entry, "a table")
        kind = entry.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            raise ConfigError(source, f"{path}.kind", kind, f"one of {', '.join(KINDS)}{nearest(kind, KINDS)}")
        rule = _read(KINDS[kind], {key: value for key, value in entry.items() if key != "kind"}, source, path)
        _check_unique(rule.name, [r.name for r in rules], source, path)
        rules.append(rule)
    return tuple(rules)


def read_channels(entries: Sequence[Mapping[str, Any]], source: str) -> tuple[Channel, ...]:
    """The channels, in their order. Raises `ConfigError` for the first wrong key, never with a URL in it."""
    return read_entries(Channel, entries, source, "channel")


def read_entries(
    model: type[_Model], entries: Sequence[Mapping[str, Any]], source: str, section: str
) -> tuple[_Model, ...]:
    """Entries of `[[section]]` that have a name each. Raises `ConfigError` for the first wrong key."""
    found: dict[str, _Model] = {}
    for index, entry in enumerate(entries):
        path = f"{section}[{index}]"
        if not isinstance(entry, Mapping):
            raise ConfigError(source, path, "...", "a table")
        read = _read(model, entry, source, path)
        _check_unique(entry["name"], found, source, path)
        found[entry["name"]] = read
    return tuple(found.values())


class Telling(Protocol):
    """An entry that says who is told."""

    @property
    def channels(self) -> Sequence[str] | None: ...


def check_references(
    entries: Iterable[Telling], channels: Iterable[Channel], source: str, section: str = "rule"
) -> None:
    """Raises `ConfigError` where an entry of `[[section]]` names a channel there is not."""
    known = [channel.name for channel in channels]
    for index, entry in enumerate(entries):
        for position, name in enumerate(entry.channels or ()):
            if name not in known:
                expected = (
                    f"the name of a [[channel]]: {', '.join(known) or 'none is configured'}{nearest(name, known)}"
                )
                raise ConfigError(source, f"{section}[{index}].channels[{position}]", name, expected)


def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys an entry of this kind may have, as they are written."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _read(model: type[_Model], entry: Mapping[str, Any], source: str, path: str) -> _Model:
    try:
        return model.model_validate(dict(entry))
    except ValidationError as error:
        raise _explained(error.errors(include_url=False)[0], model, source, path) from None


def _explained(error: ErrorDetails, model: type[BaseModel], source: str, path: str) -> ConfigError:
    parts = [part for part in error["loc"] if part != "[key]"]  # pydantic's mark for a wrong key of a table
    key = path + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    hidden = issubclass(model, Channel) and error["loc"] != ("name",)  # even a mistyped key may hold the URL
    value = "..." if hidden else error["input"]
    cause = error.get("ctx", {}).get("error")
    match error["type"]:
        case "missing":
            return ConfigError(source, key, None, "a value: this key has no default")
        case "extra_forbidden":
            keys = keys_of(model)
            return ConfigError(source, key, value, f"a key among {', '.join(keys)}{nearest(error['loc'][-1], keys)}")
        case "value_error" if isinstance(cause, ValueError):
            return ConfigError(source, key, value, str(cause))
        case "tuple_type":
            return ConfigError(source, key, value, "a list")
        case _:
            return ConfigError(source, key, value, error["msg"].replace("Input should be", "a value that is"))


def _check_unique(name: str, earlier: Collection[str], source: str, path: str) -> None:
    if name in earlier:
        raise ConfigError(source, f"{path}.name", name, "a name no earlier entry has")
