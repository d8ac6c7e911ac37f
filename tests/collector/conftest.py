"""A collector on a database of its own, in the process and over real HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest
from outlay_collector.store.engine import open_engine
from outlay_collector.store.migrate import migrate
from sqlalchemy import Engine


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/outlay.db"


@pytest.fixture
def engine(database_url: str) -> Engine:
    engine = open_engine(database_url)
    migrate(engine)
    return engine
