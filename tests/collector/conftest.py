"""A collector on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from outlay_collector.app import create_app
from outlay_collector.settings import Settings, Store
from outlay_collector.store.engine import open_engine
from outlay_collector.store.migrate import migrate
from sqlalchemy import Engine

from tests.collector.sending import NOW_NS


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/outlay.db"


@pytest.fixture
def engine(database_url: str) -> Engine:
    engine = open_engine(database_url)
    migrate(engine)
    return engine


@pytest.fixture
def app(database_url: str) -> FastAPI:
    return create_app(Settings(store=Store(url=database_url)), clock=lambda: NOW_NS)


@pytest.fixture
async def collector(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a running collector whose clock stands at `NOW`."""
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://collector") as client,
    ):
        yield client
