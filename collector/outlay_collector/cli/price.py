"""`outlay price`: what responses cost. JSON lines in, JSON lines out; no collector, no database, no network."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, TextIO

import orjson
import typer
from outlay.errors import OutlayError
from outlay.model import Cost
from outlay.prices import PriceBook, read_overrides
from outlay.prices.quote import quote, quote_document

from outlay_collector.cli.output import console, money, table
from outlay_collector.toml import read_entries

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class NotALine:
    """Input that is not JSON, or no object."""

    reason: str


Line = Mapping[str, Any] | NotALine
EVENTS: Final = ("data:", "event:", "id:", ":")
"""What the text of a stream, as it came, begins with."""


@app.command()
def price(
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help="JSON lines, or one response; - is stdin.")] = "-",
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines on stdout, and nothing else.")] = False,
    config: Annotated[Path | None, typer.Option("--config", help="An outlay.toml whose price entries win.")] = None,
) -> None:
    """What a provider's own responses cost, line by line. Exits with 0 where every line was answered, priced or not."""
    book = configured_book(config)
    now = datetime.now(UTC)
    quotes = (
        Cost.unpriced(line.reason) if isinstance(line, NotALine) else quote(book, line, now) for line in read(file)
    )
    if as_json or not sys.stdout.isatty():
        for cost in quotes:
            sys.stdout.write(orjson.dumps(quote_document(cost)).decode() + "\n")
        return
    for cost in quotes:
        print_quote(cost)


def configured_book(config: Path | None) -> PriceBook:
    """The bundled book under the `[[price]]` entries of a file. Raises `ConfigError` for what it cannot use."""
    if config is None:
        return PriceBook.bundled()
    return PriceBook.bundled().overridden(read_overrides(read_entries(config, "price"), str(config)))


def read(file: str) -> Iterator[Line]:
    """The lines of a file, or its one document where that spans lines. What cannot be read stands in its place."""
    with opened(file) as lines:
        numbered = enumerate(lines, 1)
        first = next((each for each in numbered if each[1].strip()), None)
        if first is None:
            return
        if isinstance(decode(*first), NotALine):
            yield from whole([first, *numbered])
            return
        yield decode(*first)
        yield from (decode(*each) for each in numbered if each[1].strip())


def whole(numbered: Sequence[tuple[int, str]]) -> Iterator[Line]:
    """Lines of which the first is none: the document or the stream they are together, else each by itself."""
    text = "".join(line for _, line in numbered)
    if text.startswith(EVENTS):
        yield {"response": text}
        return
    document = decode(1, text)
    if isinstance(document, NotALine):
        yield from (decode(*each) for each in numbered if each[1].strip())
    else:
        yield document


def opened(file: str) -> AbstractContextManager[TextIO]:
    """The text of a file or of stdin. A byte that is no UTF-8 spoils its own line and no other."""
    if file == "-":
        return nullcontext(sys.stdin)
    try:
        return open(file, encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise OutlayError(f"{file} cannot be read: {error.strerror}") from error


def decode(number: int, text: str) -> Line:
    """One line; an array is the events of a stream, as Gemini's come without `alt=sse`."""
    try:
        document = orjson.loads(text)
    except ValueError as error:
        reason = f"{error.msg} at column {error.colno}" if isinstance(error, orjson.JSONDecodeError) else str(error)
        return NotALine(f"line {number} is not JSON: {reason}")
    if isinstance(document, list) and document and all(isinstance(event, dict) for event in document):
        document = {"response": document}
    return document if isinstance(document, dict) else NotALine(f"line {number} is not a JSON object")


def print_quote(cost: Cost) -> None:
    """A bill to read. Where the provider said what it costs, the lines are our own sum of it."""
    document = quote_document(cost)
    why = f": {cost.reason}" if cost.reason else ""
    ours = f", {document['computed_cost_usd']} by the book" if cost.computed_nano_usd is not None else ""
    typer.echo(f"{document['cost_usd'] or 'unknown'} USD, {cost.status}{why}{ours}")
    rows = [
        (line.unit, f"{line.quantity:,}", f"{money(line.rate_usd)} per {line.per:,}", money(line.cost_usd))
        for line in cost.lines
    ]
    if rows:
        columns = (("unit", False), ("quantity", True), ("rate", True), ("cost", True))
        console().print(table(columns, rows))
    if cost.price_id:
        typer.echo(f"price {cost.price_id} from {cost.source}\n")
