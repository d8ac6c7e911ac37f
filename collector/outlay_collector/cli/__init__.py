"""The `outlay` command: which commands there are, and how every one of them fails.

Each command is the module of its name in this package and has an `app`. Only the command that was named is imported,
so that `outlay --help` costs no web framework, database or SDK. What a command cannot do is an `OutlayError`: one line
on stderr and exit code 2.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer
from outlay.errors import OutlayError
from typer.core import TyperGroup
from typer.main import get_command

COMMANDS: Final[dict[str, str]] = {
    "up": "Collector, alerts and dashboard, one command.",
    "demo": "See it with data: a fake provider, a sample application, no key.",
    "spend": "A table of spend.",
    "export": "Cost reports as files.",
    "alerts": "What fires, whether rules and channels work, and silences.",
    "budgets": "Limits on spend: list, set, remove.",
    "reports": "What is sent at the end of each day, week or month.",
    "price": "What responses cost: JSON lines in, JSON lines out.",
    "prices": "What the price book holds, and what it lacks.",
    "reprice": "History at today's knowledge of its prices, and what that changes.",
    "keys": "API keys: create, list, revoke.",
    "db": "The database itself: migrate, stats, verify, rollup, prune, backup.",
    "doctor": "Check this machine's set-up and say what to do.",
}
"""Every command and its line in `outlay --help`."""


class CommandError(OutlayError):
    """A command cannot do what was asked. The message says why and what to do instead."""


class _Commands(TyperGroup):
    """Lists all commands from the table, imports the one that is run."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, listed, rest = super().resolve_command(ctx, args)
        if name is None or listed is None:
            return name, listed, rest
        try:
            module = import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("outlay"):
                raise
            raise CommandError(
                f"`outlay {name}` needs {error.name}, which is not installed: pip install 'outlay-collector[demo]'"
            ) from None
        return name, get_command(module.app), rest


app = typer.Typer(
    name="outlay",
    cls=_Commands,
    help="What LLM calls cost, who spent it, and a stop before it is too much.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"outlay {version('outlay-collector')}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


for _name, _line in COMMANDS.items():
    app.command(_name, help=_line)(lambda: None)


def main() -> None:
    """Run the command line; never returns."""
    try:
        app()
    except OutlayError as error:
        sys.stderr.write(f"outlay: {error}\n")
        sys.exit(2)
