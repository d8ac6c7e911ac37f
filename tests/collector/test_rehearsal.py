"""What `outlay up` asks itself once it has started."""

from __future__ import annotations

import json
import logging
import re
import threading
from pathlib import Path

import httpx2
import pytest
from outlay_collector import rehearsal
from outlay_collector.rehearsal import REQUEST_ID, start_rehearsal

from tests.collector.sending import Sent, body_of, chat
from tests.conftest import CollectorProcess
from tests.waiting import own_port, until

CONFIGURATION = '[server]\nlog_format = "json"\nlog_requests = true\n'
_OF_ONE = re.compile(r"(?<=/)[0-9a-f]+$")


def test_every_kind_of_question_is_asked_once_there_are_calls(
    stopped_collector: CollectorProcess, tmp_path: Path
) -> None:
    """Of a call that says neither user nor tenant."""
    first, second = tmp_path / "first.log", tmp_path / "second.log"

    def asked(log: Path, last: str) -> list[tuple[str, int]]:
        """Path and status; nothing before that path was asked for."""
        whole = log.read_text().rpartition("\n")[0]  # its last line may be half written
        lines = [json.loads(line) for line in whole.splitlines()]
        found = [(line["path"], line["status"]) for line in lines if line.get("request_id") == REQUEST_ID]
        return found if found and found[-1][0].startswith(last) else []

    stopped_collector.start(configuration=CONFIGURATION, log=first)
    found = until(lambda: asked(first, "/api/v1/summary"), "rehearsal")
    assert found == [("/api/v1/calls", 200), ("/api/v1/summary", 200)]
    sent = httpx2.post(
        f"{stopped_collector.url}/v1/traces",
        content=body_of(Sent(attributes=chat())),
        headers={"content-type": "application/x-protobuf"},
        timeout=60,
    )
    assert sent.status_code == 200
    assert stopped_collector.stop() == 0

    stopped_collector.start(configuration=CONFIGURATION, log=second)
    found = until(lambda: asked(second, "/api/v1/traces/"), "rehearsal")
    assert {status for _, status in found} == {200}
    kinds = ["calls", "summary", *["usage"] * 3, *["calls"] * 3, "calls/ID", "traces/ID"]
    assert [_OF_ONE.sub("ID", path.removeprefix("/api/v1/")) for path, _ in found] == kinds


def test_a_collector_that_does_not_answer_is_no_reason_to_end(caplog: pytest.LogCaptureFixture) -> None:
    """What leaves a thread is a warning, and so fails a test."""
    with own_port() as port, caplog.at_level(logging.DEBUG, rehearsal.__name__):
        start_rehearsal(f"http://127.0.0.1:{port}", "key")
        until(lambda: all(thread.name != REQUEST_ID for thread in threading.enumerate()), "the end of the thread")
    (said,) = [record.getMessage() for record in caplog.records if record.name == rehearsal.__name__]
    assert said.startswith("rehearsal: ")
