"""How far what was committed is on the disk, as far as a database says what it was told."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import pytest
from outlay.errors import ConfigError
from outlay_collector.app import create_app
from outlay_collector.settings import Settings, Store
from outlay_collector.store.engine import open_engine
from sqlalchemy.engine import make_url

FULL: Final = 2
NORMAL: Final = 1


@pytest.mark.parametrize(("synchronous", "level"), [("full", FULL), ("normal", NORMAL)])
async def test_sqlite_waits_for_the_disk_as_it_is_told(
    tmp_path: Path, synchronous: Literal["full", "normal"], level: int
) -> None:
    app = create_app(Settings(store=Store(url=f"sqlite:///{tmp_path}/outlay.db", synchronous=synchronous)))
    async with app.router.lifespan_context(app):
        with app.state.running.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == level
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


def test_postgres_is_told_in_its_url() -> None:
    with pytest.raises(ConfigError, match=r"synchronous = 'normal'.*synchronous_commit%3Doff"):
        open_engine("postgresql://nobody@127.0.0.1/nothing", synchronous="normal")


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_postgres_does_as_its_url_says(database_url: str) -> None:
    url = make_url(database_url).update_query_string("options=-csynchronous_commit%3Doff")
    engine = open_engine(url.render_as_string(hide_password=False))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "off"
    engine.dispose()
