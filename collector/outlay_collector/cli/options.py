"""Options that several commands share, each said once, and how a decorator takes some and hands a command what they
mean."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from outlay_collector.cli import CommandError

ConfigOption = Annotated[Path | None, typer.Option("--config", help="outlay.toml in this folder if not given.")]


def database_url(url: str | None) -> str | None:
    """The callback of `--db`: what names no database is refused before anything is started. Raises `ConfigError`."""
    if url is not None:
        from outlay_collector.store.engine import parsed_url  # most commands ask a collector

        parsed_url(url, source="--db")
    return url


def read_length(option: str, text: str) -> timedelta:
    """What an option such as `--for 2h` says. Raises `CommandError`."""
    from outlay_alerts.duration import read_duration  # and pydantic with it, which few commands need

    try:
        return read_duration(text)
    except ValueError as error:
        raise CommandError(f"{option} {text!r}: expected {error}") from None


def spread(
    run: Callable[..., None], command: Callable[..., None], name: str, *, last: bool = False
) -> Callable[..., None]:
    """`run` as the command line is to see it: as `command`, but with the options of `run` in place of that parameter,
    or after all others."""
    parameters = _parameters(command)
    options = [option for option in _parameters(run) if option.kind is option.KEYWORD_ONLY]
    place = [parameter.name for parameter in parameters].index(name)
    before, after = parameters[:place], parameters[place + 1 :]
    taken = [*before, *after, *options] if last else [*before, *options, *after]
    functools.update_wrapper(run, command)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in taken}
    vars(run)["__signature__"] = inspect.Signature(taken)
    return run


def _parameters(command: Callable[..., None]) -> list[inspect.Parameter]:
    return [*inspect.signature(command, eval_str=True).parameters.values()]
