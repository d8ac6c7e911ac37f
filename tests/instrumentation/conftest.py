"""A collector on loopback, Outlay in force with it, and providers with prepared answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import openai
import outlay
import pytest
from outlay_collector.serving import Server
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.conftest import Provider
from tests.instrumentation.beside import Beside, played_beside
from tests.instrumentation.doubles import Answer, Answering, Receiver
from tests.instrumentation.endpoints import Endpoints
from tests.instrumentation.google_double import GoogleDouble
from tests.instrumentation.spooling import end_all
from tests.instrumentation.vendors_double import VendorsDouble

if TYPE_CHECKING:  # takes a second to import, which only the tests of Gemini need
    from google import genai

    from tests.instrumentation.google_ways import Clients, Google

Double = TypeVar("Double", GoogleDouble, VendorsDouble)


@pytest.fixture(scope="session")
def _receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    async def take(request: Request) -> Response:
        return await receiver.take(request)

    async def hear(request: Request) -> Response:
        return await receiver.hear(request)

    routes = [Route("/v1/traces", take, methods=["POST"]), Route("/v1/metrics", hear, methods=["POST"])]
    with Server(Starlette(routes=routes), log_level="critical") as server:
        receiver.url = server.url
        yield receiver


@pytest.fixture
def receiver(_receiver: Receiver, unhurried: None) -> Receiver:
    """A collector that keeps spans; empty when the test begins."""
    _receiver.spans, _receiver.statuses, _receiver.headers, _receiver.requests = [], [], [], 0
    _receiver.losses, _receiver.meanwhile, _receiver.statuses_of_metrics = {}, None, []
    return _receiver


@pytest.fixture
def instrumented(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Outlay in force, sending to `receiver`; its own errors are raised."""
    monkeypatch.setenv("OUTLAY_STRICT", "1")
    outlay.instrument(service="shop", environment="test", endpoint=receiver.url)
    yield receiver
    outlay.uninstrument()


@pytest.fixture(scope="session")
def _endpoints() -> Iterator[Endpoints]:
    endpoints = Endpoints()

    async def take(request: Request) -> Response:
        return await endpoints.take(request)

    methods = ["GET", "POST"]
    with Server(Starlette(routes=[Route("/{path:path}", take, methods=methods)]), log_level="critical") as server:
        endpoints.url = server.url
        yield endpoints


@pytest.fixture
def endpoints(_endpoints: Endpoints) -> Endpoints:
    """A provider with every endpoint; it has been asked nothing when the test begins."""
    _endpoints.requests.clear()
    return _endpoints


@pytest.fixture
def answering() -> Iterator[Callable[[Answer], Answering]]:
    """Starts a provider whose answer to a request's body is worked out by the test."""
    with ExitStack() as servers:

        def start(answer: Answer) -> Answering:
            bodies: list[dict[str, Any]] = []

            async def take(request: Request) -> Response:
                bodies.append(json.loads(await request.body()))
                return answer(bodies[-1])

            app = Starlette(routes=[Route("/{path:path}", take, methods=["POST"])])
            return Answering(servers.enter_context(Server(app, log_level="critical")).url, bodies)

        yield start


@pytest.fixture(scope="session")
def _google() -> Iterator[tuple[str, GoogleDouble]]:
    yield from _served(GoogleDouble())


@pytest.fixture
def google_double(_google: tuple[str, GoogleDouble]) -> GoogleDouble:
    """Gemini; asked nothing when the test begins."""
    _google[1].asked.clear()
    return _google[1]


@pytest.fixture
def google_url(_google: tuple[str, GoogleDouble], google_double: GoogleDouble) -> str:
    """Where it is."""
    return _google[0]


@pytest.fixture(params=["sync", "httpx", "aiohttp"])
def google(request: pytest.FixtureRequest, google_url: str, google_double: GoogleDouble) -> Google:
    """It, as one of the SDK's HTTP clients reaches it."""
    from tests.instrumentation.google_ways import Google

    return Google(google_url, google_double, request.param)


@pytest.fixture
def gemini(google_url: str) -> Iterator[Clients]:
    """Makes clients of the double; `scene` and `http` go into its HTTP options, the rest to the client."""
    from google import genai

    made: list[genai.Client] = []

    def make(scene: str = "", http: dict[str, Any] | None = None, **options: Any) -> genai.Client:
        settings = {"base_url": google_url, "headers": {"x-scene": scene}, **(http or {})}
        options.setdefault("api_key", "none")
        made.append(genai.Client(http_options=settings, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()
        asyncio.run(each.aio.aclose())


@pytest.fixture(scope="session")
def _vendors() -> Iterator[tuple[str, VendorsDouble]]:
    yield from _served(VendorsDouble())


@pytest.fixture
def vendors_double(_vendors: tuple[str, VendorsDouble]) -> VendorsDouble:
    """Mistral, Cohere and Bedrock; asked nothing when the test begins."""
    _vendors[1].asked.clear()
    return _vendors[1]


@pytest.fixture
def vendors_url(_vendors: tuple[str, VendorsDouble], vendors_double: VendorsDouble) -> str:
    """Where they are."""
    return _vendors[0]


@pytest.fixture
def beside(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Beside:
    """Plays something without Outlay and with it; our own errors are raised."""
    monkeypatch.setenv("OUTLAY_STRICT", "1")
    return partial(played_beside, receiver)


def _served(double: Double) -> Iterator[tuple[str, Double]]:
    with Server(double.app, log_level="critical") as server:
        yield server.url, double


@pytest.fixture
def client(fake_provider: Provider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="none", base_url=fake_provider.openai) as client:
        yield client


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is delivered is delivered within a hundredth of a second."""
    monkeypatch.setenv("OUTLAY_EXPORT_INTERVAL_S", "0.01")


@pytest.fixture
def nothing_stays() -> Iterator[None]:
    """A test that fails ends its processes and takes Outlay out all the same."""
    yield
    outlay.uninstrument()
    end_all()
