"""The fake provider repeats with its seed, and keeps its log in a file."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
from outlay_collector.demo.faults import Chances
from outlay_collector.demo.provider import FakeProvider, UsageLog
from outlay_collector.serving import Server


def traffic(seed: int, chances: Chances | None = None, log: UsageLog | None = None) -> list[tuple[int, object]]:
    provider = FakeProvider(seed=seed, chances=chances, log=log, clock=lambda: 1_780_000_000.0)
    with (
        Server(provider.app) as server,
        httpx2.Client(base_url=server.url, headers={"x-api-key": "k"}, timeout=60) as client,
    ):
        answers = [
            client.post("/anthropic/v1/messages", json={"model": "m", "max_tokens": 9, "messages": [{"content": "hi"}]})
            for _ in range(40)
        ]
    return [(answer.status_code, answer.json()) for answer in answers]


def test_the_same_seed_gives_the_same_answers_and_faults() -> None:
    chances = Chances(rate_limited=0.2, failed=0.1)
    first = traffic(3, chances)
    assert first == traffic(3, chances)
    assert first != traffic(4, chances)
    assert {status for status, _ in first} == {200, 429, 500}


def test_the_same_request_twice_is_two_answers() -> None:
    ids = [json.dumps(body) for _, body in traffic(0)]
    assert len(set(ids)) == len(ids)


def test_the_log_is_also_a_file_of_json_lines(tmp_path: Path) -> None:
    log = UsageLog(tmp_path / "usage.jsonl")
    traffic(0, log=log)
    lines = [json.loads(line) for line in (tmp_path / "usage.jsonl").read_text().splitlines()]
    assert [line["response_id"] for line in lines] == [entry.response_id for entry in log.entries]
    assert lines[0]["provider"] == "anthropic"
    assert lines[0]["at"] == "2026-05-28T20:26:40+00:00"
    assert lines[0]["usage"]["output_tokens"] == 9
