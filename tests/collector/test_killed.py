"""A collector that is killed while it writes: everything it acknowledged is there, once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import TYPE_CHECKING

import grpc
import httpx2
import pytest

from tests.collector.sending import BOTH_BACKENDS, PROTOBUF, Sent, body_of, chat
from tests.waiting import own_port

if TYPE_CHECKING:
    from tests.conftest import CollectorProcess

KILLS = int(os.environ.get("OUTLAY_TEST_KILLS", "2"))
"""A short form of what holds for twenty and more."""
CALLS_A_BATCH = 20


def batches() -> Iterator[bytes]:
    for batch in count():
        spans = range(batch * CALLS_A_BATCH + 1, (batch + 1) * CALLS_A_BATCH + 1)
        yield body_of(*(Sent(trace=n, span=n, attributes=chat(**{"gen_ai.response.id": f"r{n}"})) for n in spans))


class Sender:
    """Sends one batch after another, each until it is acknowledged, whatever becomes of the collector."""

    def __init__(self, sent: Callable[[bytes], bool]) -> None:
        self._sent = sent
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
        for body in batches():
            while not self._over.is_set() and not self._sent(body):
                self._back.wait(0.2)
                self._back.clear()
            if self._over.is_set():
                return
            self.acknowledged += CALLS_A_BATCH
            self.enough.release()


@contextmanager
def over_http(collector: CollectorProcess, _grpc_port: int) -> Iterator[Callable[[bytes], bool]]:
    def sent(body: bytes) -> bool:
        try:
            return client.post(f"{collector.url}/v1/traces", content=body).status_code == 200
        except httpx2.TransportError:
            return False

    with httpx2.Client(headers=PROTOBUF, timeout=60) as client:
        yield sent


@contextmanager
def over_grpc(_collector: CollectorProcess, grpc_port: int) -> Iterator[Callable[[bytes], bool]]:
    def sent(body: bytes) -> bool:
        try:
            export(body, timeout=60)
        except grpc.RpcError:
            return False
        return True

    options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100)]
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port}", options=options) as channel:
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        yield sent


@pytest.fixture
def grpc_port() -> Iterator[int]:
    with own_port() as port:
        yield port


@pytest.mark.parametrize("transport", [over_http, over_grpc])
@BOTH_BACKENDS
def test_what_was_acknowledged_survives_kill_9_and_is_stored_once(
    transport: Callable[[CollectorProcess, int], AbstractContextManager[Callable[[bytes], bool]]],
    stopped_collector: CollectorProcess,
    database_url: str,
    grpc_port: int,
) -> None:
    stopped_collector.db = database_url
    stopped_collector.start("--grpc-port", str(grpc_port))
    with transport(stopped_collector, grpc_port) as sent:
        sender = Sender(sent)
        sender.start()
        try:
            for _ in range(KILLS):
                for _ in range(5):
                    assert sender.enough.acquire(timeout=60)
                stopped_collector.kill()
                stopped_collector.start("--grpc-port", str(grpc_port))
                sender.resume()
        finally:
            sender.stop()
    window = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
    (row,) = stopped_collector.get("/api/v1/usage", **window)["rows"]
    # What was cut off in the middle of its commit may be there too, but no call twice.
    assert sender.acknowledged <= row["calls"] <= sender.acknowledged + CALLS_A_BATCH
    assert row["input_tokens"] == row["calls"] * 1000
