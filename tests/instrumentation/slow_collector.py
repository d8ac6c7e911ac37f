"""A collector that takes its time: it passes requests on to another, and hands over the answer late or in drops."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import urlsplit

DROP_S: Final = 0.2
"""Between two bytes. Every answer has more than a thousand, and so takes more than three minutes."""


class SlowCollector(ThreadingHTTPServer):
    """In front of `upstream`, which has done its part before the first byte of the answer goes out.

    `late_s`: how long an answer is held back. `drops`: whether it comes a byte at a time. Both may be changed.
    """

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.late_s = 0.0
        self.drops = False
        self.asked = 0
        self.answered = 0
        self.is_over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: SlowCollector

    def do_POST(self) -> None:
        slow = self.server
        body = self.rfile.read(int(self.headers["content-length"]))
        late_s, drops = slow.late_s, slow.drops
        slow.asked += 1
        answer = self._passed_on(body)
        slow.is_over.wait(late_s)
        try:
            for start in range(len(answer)) if drops else ():
                self.connection.sendall(answer[start : start + 1])
                if slow.is_over.wait(DROP_S):
                    return
            if not drops:
                self.connection.sendall(answer)
            slow.answered += 1
        except OSError:
            return  # nobody waits for it any more

    def _passed_on(self, body: bytes) -> bytes:
        upstream = http.client.HTTPConnection(self.server.upstream)
        upstream.request("POST", self.path, body, {k: v for k, v in self.headers.items() if k != "Connection"})
        response = upstream.getresponse()
        said = response.read()
        upstream.close()
        kind = response.headers.get("content-type", "text/plain")
        head = f"HTTP/1.0 {response.status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(said)}\r\n"
        return f"{head}x-long: {'-' * 1_000}\r\n\r\n".encode() + said

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def slow_collector(upstream: str) -> Iterator[SlowCollector]:
    with SlowCollector(upstream) as slow:
        thread = threading.Thread(target=slow.serve_forever)
        thread.start()
        try:
            yield slow
        finally:
            slow.is_over.set()
            slow.shutdown()
            thread.join()
