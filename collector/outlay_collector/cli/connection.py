"""How a command reaches the data: a running collector, or a database of its own.

There is one code path and so one figure: with `--db` the same API answers inside this process, over the same routes,
with none of the collector's background work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import Annotated, Any, Concatenate, Final

import httpx2
import typer
from outlay.loopback import is_local

from outlay_collector.cli import CommandError
from outlay_collector.cli.options import database_url, spread

DEFAULT_ENDPOINT: Final = "http://127.0.0.1:4318"
TIMEOUT_S: Final = 60.0

Params = Mapping[str, str | int | Sequence[str] | None]

EndpointOption = Annotated[
    str | None,
    typer.Option("--endpoint", envvar="OUTLAY_ENDPOINT", help=f"A running collector; {DEFAULT_ENDPOINT} if not given."),
]
ApiKeyOption = Annotated[
    str | None,
    typer.Option("--api-key", envvar="OUTLAY_API_KEY", show_envvar=True, help="A key of that collector, scope read."),
]
DbOption = Annotated[
    str | None,
    typer.Option("--db", callback=database_url, help="Read this database instead of a collector: sqlite:///outlay.db"),
]


class Api:
    """The collector's HTTP API, wherever it is answered. Every failure is a `CommandError`."""

    def __init__(self, client: httpx2.Client, place: str) -> None:
        self._client = client
        self._place = place

    def get(self, path: str, params: Params | None = None) -> Any:
        """The decoded JSON of one resource. Parameters that are None are left out."""
        return self.request("GET", path, params=params)

    def request(self, method: str, path: str, *, params: Params | None = None, json: Any = None) -> Any:
        """The decoded JSON of the answer, None where it has no body."""
        with self._answer(method, path, params, json) as response:
            return response.json() if response.read() else None

    def stream(self, path: str, params: Params | None = None) -> Iterator[bytes]:
        """The body of a resource, in the pieces it comes in."""
        with self._answer("GET", path, params, None) as response:
            yield from response.iter_bytes()

    @contextmanager
    def _answer(self, method: str, path: str, params: Params | None, json: Any) -> Iterator[httpx2.Response]:
        given = {name: value for name, value in (params or {}).items() if value is not None}
        try:
            with self._client.stream(method, path, params=given, json=json) as response:
                if response.is_error:
                    response.read()
                    raise CommandError(self._refusal(response))
                yield response
        except httpx2.ConnectError:
            raise CommandError(
                f"no collector answers at {self._place}; start one with `outlay up`, name another with --endpoint, "
                "or read a database with --db"
            ) from None
        except httpx2.TransportError as error:
            raise CommandError(f"{self._place}{path}: {type(error).__name__}: {error}") from None

    def _refusal(self, response: httpx2.Response) -> str:
        try:
            said = response.json()["error"]
            reason = f"{said['field']}: {said['message']}" if said.get("field") else said["message"]
        except (ValueError, KeyError, TypeError):
            reason = f"{response.status_code} {response.reason_phrase}"
        hint = (
            "; give a key with --api-key or OUTLAY_API_KEY" if response.status_code == httpx2.codes.UNAUTHORIZED else ""
        )
        return f"{self._place}: {reason}{hint}"


def asking(command: Callable[Concatenate[Api, ...], None]) -> Callable[..., None]:
    """The command with the options that say which collector or database it asks, in place of its `api`."""

    def run(*, endpoint: EndpointOption = None, api_key: ApiKeyOption = None, db: DbOption = None, **own: Any) -> None:
        with connect(endpoint, api_key, db) as api:
            command(api, **own)

    return spread(run, command, "api", last=True)


@contextmanager
def connect(endpoint: str | None, api_key: str | None, db: str | None) -> Iterator[Api]:
    """The API of the collector at `endpoint`, or of the database `db` where one is given: it wins."""
    if db is not None:
        with _in_process(db) as client:
            yield Api(client, db)
        return
    place = (endpoint or DEFAULT_ENDPOINT).rstrip("/")
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    past_proxies = httpx2.HTTPTransport() if is_local(place) else None
    try:
        client = httpx2.Client(base_url=place, headers=headers, timeout=TIMEOUT_S, transport=past_proxies)
    except httpx2.InvalidURL as error:
        raise CommandError(f"--endpoint {place!r}: {error}; expected such as {DEFAULT_ENDPOINT}") from None
    with client:
        yield Api(client, place)


@contextmanager
def _in_process(db: str) -> Iterator[httpx2.Client]:
    # Imported here: a command that talks to a collector needs neither the web framework nor the database.
    from sqlalchemy.exc import SQLAlchemyError

    from outlay_collector.app import create_app
    from outlay_collector.settings import Alerts, Settings, Store
    from outlay_collector.store.engine import is_missing

    try:
        if is_missing(db):
            raise CommandError(f"--db {db}: there is no such file; `outlay up --db {db}` creates it")
        app = create_app(Settings(store=Store(url=db), alerts=Alerts(enabled=False)), trusted=True)
        with asyncio.Runner() as runner:
            running = AsyncExitStack()
            runner.run(running.enter_async_context(app.router.lifespan_context(app)))
            try:
                with httpx2.Client(transport=_InProcess(app, runner), base_url="http://database") as client:
                    yield client
            finally:
                runner.run(running.aclose())
    except SQLAlchemyError as error:
        raise CommandError(f"--db: {type(error).__name__}: {str(error).splitlines()[0]}") from None


class _InProcess(httpx2.BaseTransport):
    """Hands requests to an application in this process, on one event loop."""

    def __init__(self, app: Any, runner: asyncio.Runner) -> None:
        self._transport = httpx2.ASGITransport(app)
        self._runner = runner

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response: httpx2.Response = self._runner.run(self._answer(request))
        return response

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._transport.handle_async_request(request)
        return httpx2.Response(response.status_code, headers=response.headers, content=await response.aread())
