"""Reads a TOML file that somebody named, and the `[[entry]]` tables in it. What they mean is for others to say.

Everything that cannot be read is a `ConfigError`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from outlay.errors import ConfigError


def read_toml(path: Path) -> dict[str, Any]:
    """The document in a file."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(str(path), "file", path.name, f"a file that can be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), "file", path.name, f"TOML in UTF-8: {error}") from None


def entries_in(document: Mapping[str, Any], name: str, source: str) -> list[dict[str, Any]]:
    """The tables under `[[name]]`; none where there is no such word."""
    entries = document.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(source, name, "...", f"a list of tables, each under [[{name}]]")
    return entries


def read_entries(path: Path, name: str) -> list[dict[str, Any]]:
    """The tables under `[[name]]` in a file."""
    return entries_in(read_toml(path), name, str(path))
