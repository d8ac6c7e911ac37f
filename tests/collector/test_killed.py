"""A collector that is killed while it writes: everything it acknowledged is there, once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

import httpx2

from tests.collector.sending import BOTH_BACKENDS, PROTOBUF, Sent, body_of, chat

if TYPE_CHECKING:
    from tests.conftest import CollectorProcess

KILLS = 2
CALLS_A_BATCH = 20


def batches() -> Iterator[bytes]:
    for batch in count():
        spans = range(batch * CALLS_A_BATCH + 1, (batch + 1) * CALLS_A_BATCH + 1)
        yield body_of(*(Sent(trace=n, span=n, attributes=chat(**{"gen_ai.response.id": f"r{n}"})) for n in spans))


class Sender:
    """Sends one batch after another, each until it is acknowledged, whatever becomes of the collector."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.acknowledged = 0
        self.enough = threading.Semaphore(0)
        self._over = threading.Event()
        self._back = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def resume(self) -> None:
        self._back.set()

    def stop(self) -> None:
        self._over.set()
        self._back.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx2.Client(headers=PROTOBUF) as client:
            for body in batches():
                while not self._over.is_set() and not self._sent(client, body):
                    self._back.wait(0.2)
                    self._back.clear()
                if self._over.is_set():
                    return
                self.acknowledged += CALLS_A_BATCH
                self.enough.release()

    def _sent(self, client: httpx2.Client, body: bytes) -> bool:
        try:
            return client.post(f"{self._url}/v1/traces", content=body).status_code == 200
        except httpx2.TransportError:
            return False


@BOTH_BACKENDS
def test_what_was_acknowledged_survives_kill_9_and_is_stored_once(
    stopped_collector: CollectorProcess, database_url: str
) -> None:
    stopped_collector.db = database_url
    stopped_collector.start()
    sender = Sender(stopped_collector.url)
    sender.start()
    try:
        for _ in range(KILLS):
            for _ in range(5):
                assert sender.enough.acquire(timeout=30)
            stopped_collector.kill()
            stopped_collector.start()
            sender.resume()
    finally:
        sender.stop()
    window = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
    (row,) = stopped_collector.get("/api/v1/usage", **window)["rows"]
    # What was cut off in the middle of its commit may be there too, but no call twice.
    assert sender.acknowledged <= row["calls"] <= sender.acknowledged + CALLS_A_BATCH
    assert row["input_tokens"] == row["calls"] * 1000
