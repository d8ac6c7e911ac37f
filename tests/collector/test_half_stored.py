"""A batch of which one half was committed and the other refused: sent again it is stored whole, and nothing twice.

A chat is 1000 tokens at $2.50 and 100 at $10 a million: $0.0035.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from tests.collector.echoing import SDK, around, at, bills
from tests.collector.sending import BOTH_BACKENDS, chat, send

pytestmark = BOTH_BACKENDS
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "ask"}
BATCH = around(TOOL, chat(**{"gen_ai.response.id": "r"}))
ALONE = at(5, None, 200, 300, chat(), SDK, trace=2)


def refusing(app: FastAPI, writes: str) -> Callable[[], None]:
    """The database is away for whoever writes that, until what is given is called."""
    engine = app.state.running.engine

    def refuse(_conn: Any, _cursor: Any, statement: str, *_more: object) -> None:
        if writes in statement:
            raise OperationalError(statement, {}, Exception("the connection was lost"))

    event.listen(engine, "before_cursor_execute", refuse)
    return lambda: event.remove(engine, "before_cursor_execute", refuse)


async def kept(client: httpx2.AsyncClient) -> int:
    """The nodes of the trace that are no call."""
    answer = await client.get(f"/api/v1/traces/{1:032x}")
    return sum(node["kind"] != "call" for node in answer.json()["tree"]) if answer.status_code == 200 else 0


@pytest.mark.parametrize(
    ("refused", "calls", "steps"),
    [("rollup_periods", 0, 1), ("INSERT INTO steps", 2, 0)],
    ids=["its calls", "its steps"],
)
async def test_a_batch_of_which_a_part_was_refused_can_be_sent_again(
    app: FastAPI, collector: httpx2.AsyncClient, refused: str, calls: int, steps: int
) -> None:
    come_back = refusing(app, refused)
    answer = await send(collector, *BATCH, ALONE)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert (len(await bills(collector)), await kept(collector)) == (calls, steps)
    come_back()
    for _ in range(2):
        assert (await send(collector, *BATCH, ALONE)).status_code == 200
    assert await bills(collector) == [("0.0035", 1), ("0.0035", 2)]
    assert await kept(collector) == 1
