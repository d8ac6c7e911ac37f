"""Keys that say who spends: a sender cannot say otherwise."""

from __future__ import annotations

import httpx2
import orjson
import pytest
from outlay.errors import OutlayError
from outlay_collector.cli import CommandError
from outlay_collector.cli.keys import app as keys_command
from outlay_collector.pins import read_pins
from outlay_collector.security import Caller, Denial, Keys, Right, make_key
from outlay_collector.store.keys import add_key
from sqlalchemy import Engine
from typer.testing import CliRunner

from tests.collector.sending import BOTH_BACKENDS, NOW_NS, PROTOBUF, Sent, body_of, chat

ACME = {"tenant": "acme", "service": "search", "tag.team": "red"}


def made(engine: Engine, right: Right, pins: dict[str, str] | None = None) -> dict[str, str]:
    key, row = make_key("test", right, NOW_NS, pins)
    with engine.begin() as connection:
        add_key(connection, row)
    return {"authorization": f"Bearer {key}"}


async def post(collector: httpx2.AsyncClient, sent: Sent, headers: dict[str, str]) -> None:
    answer = await collector.post("/v1/traces", content=body_of(sent), headers={**PROTOBUF, **headers})
    assert answer.status_code == 200


@BOTH_BACKENDS
async def test_what_a_key_pins_stands_whatever_the_spans_say(engine: Engine, collector: httpx2.AsyncClient) -> None:
    pinned, free, reader = made(engine, "ingest", ACME), made(engine, "ingest"), made(engine, "read")
    claims = chat(**{"outlay.tenant": "zen", "outlay.tag.team": "blue", "outlay.tag.tier": "free", "user.id": "u1"})
    await post(collector, Sent(trace=1, attributes=claims), pinned)
    await post(collector, Sent(trace=2, attributes=chat(), resource={}), pinned)
    await post(collector, Sent(trace=3, attributes=claims), free)
    calls = (await collector.get("/api/v1/calls", headers=reader)).json()["calls"]
    by_trace = {int(call["trace_id"], 16): call for call in calls}
    assert [by_trace[n]["tenant"] for n in (1, 2, 3)] == ["acme", "acme", "zen"]
    assert [by_trace[n]["service"] for n in (1, 2, 3)] == ["search", "search", "bot"]
    assert by_trace[1]["tags"] == {"team": "red", "tier": "free"}
    assert by_trace[1]["user"] == "u1"
    assert by_trace[2]["tags"] == {"team": "red"}
    usage = await collector.get("/api/v1/usage", params={"group_by": "tenant"}, headers=reader)
    assert [(row["tenant"], row["calls"]) for row in usage.json()["rows"]] == [("acme", 2), ("zen", 1)]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["tenant"], "tenant=acme"),
        (["tenant="], "tenant=acme"),
        (["tennant=acme"], "did you mean"),
        (["status=ok"], "one of"),
        (["tag.=x"], "one of"),
        (["tenant=a", "tenant=b"], "one value only"),
    ],
)
def test_a_pin_that_cannot_be_is_refused(given: list[str], named: str) -> None:
    with pytest.raises(OutlayError, match=named):
        read_pins(given)


def test_pins_are_given_and_shown_on_the_command_line(database_url: str) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(keys_command, [*arguments, "--db", database_url], catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    created = orjson.loads(run("create", "acme", "--pin", "tenant=acme", "--pin", "tag.team=red", "--json"))
    assert created["pins"] == {"tenant": "acme", "tag.team": "red"}
    (listed,) = orjson.loads(run("list", "--json"))["keys"]
    assert listed["pins"] == created["pins"]
    assert "tenant=acme" in run("list")
    with pytest.raises(CommandError, match="--scope ingest"):
        run("create", "boss", "--scope", "admin", "--pin", "tenant=acme")


def test_a_process_reads_with_its_own_key_and_does_no_more(engine: Engine) -> None:
    keys = Keys(engine, own="own-secret")
    made(engine, "admin")
    assert isinstance(keys.admit("own-secret", "read"), Caller)
    for wrong in ("own-secre", "", "outlay_x_y"):
        assert isinstance(keys.admit(wrong, "read"), Denial)
    assert isinstance(keys.admit("own-secret", "ingest"), Denial)
    assert isinstance(keys.admit("own-secret", "admin"), Denial)
    assert isinstance(Keys(engine).admit("own-secret", "read"), Denial)
