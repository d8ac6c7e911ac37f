"""The wiring: from settings to a running collector. Knows every part; no part knows it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from outlay_collector.api import health
from outlay_collector.api.dependencies import Running
from outlay_collector.settings import Settings
from outlay_collector.store.engine import open_engine
from outlay_collector.store.migrate import migrate


def create_app(settings: Settings, *, clock: Callable[[], int] = time.time_ns) -> FastAPI:
    """The collector as an ASGI application. Opens and migrates the database when it starts, closes it when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = open_engine(settings.store.url)
        try:
            migrate(engine)
            app.state.running = Running(settings=settings, engine=engine, clock=clock)
            yield
        finally:
            engine.dispose()

    app = FastAPI(title="Outlay", version=version("outlay-collector"), lifespan=lifespan)
    app.include_router(health.router)
    return app
