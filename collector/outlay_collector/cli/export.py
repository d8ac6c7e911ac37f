"""`outlay export`: cost reports as files. The collector writes them; this command names them and saves them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from outlay_collector.cli import CommandError
from outlay_collector.cli.conditions import WhereOption, conditions
from outlay_collector.cli.connection import Api, asking
from outlay_collector.cli.window import Window, in_window

app = typer.Typer(add_completion=False)


class Format(StrEnum):
    CSV = "csv"
    PARQUET = "parquet"
    FOCUS = "focus"


class Interval(StrEnum):
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    NONE = "none"


@app.command()
@asking
@in_window
def export(
    api: Api,
    *,
    written_as: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.CSV,
    by: Annotated[str, typer.Option("--by", help="Dimensions, with commas: tenant,feature")] = "provider,model",
    interval: Annotated[Interval, typer.Option("--interval", help="One row for each.")] = Interval.DAY,
    period: Window,
    where: WhereOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="The file to write; standard output if not given.")] = None,
) -> None:
    """Cost reports as files."""
    params = {**period.params, "format": written_as.value, "by": by, "interval": interval.value, **conditions(where)}
    pieces = api.stream("/api/v1/export", params)
    if out is None:
        sys.stdout.flush()
        sys.stdout.buffer.writelines(pieces)
    else:
        _save(pieces, out)


def _save(pieces: Iterable[bytes], out: Path) -> None:
    """Writes beside the file and then takes its place, so that a report that failed never looks like a whole one."""
    unfinished = out.with_name(f".{out.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            file.writelines(pieces)
        unfinished.replace(out)
    except OSError as error:
        raise CommandError(f"--out {out}: {error.strerror}") from None
    finally:
        unfinished.unlink(missing_ok=True)
