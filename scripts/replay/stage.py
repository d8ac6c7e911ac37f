"""What surrounds a play: the server that answers as recorded, a collector that keeps spans, and Outlay in force."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import outlay
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from replay.drivers import Play

Span = Mapping[str, Any]
"""The attributes of a span."""


class _Collector(ThreadingHTTPServer):
    """Answers every OTLP request 200 and keeps the attributes of its spans."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.spans: list[Span] = []


class _Taking(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path != "/v1/traces":
            body = b""
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in group.scope_spans:
                self.server.spans.extend({a.key: _value(a.value) for a in span.attributes} for span in scope.spans)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the table is the output."""


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(item) for item in value.array_value.values] if kind == "array_value" else getattr(value, kind)


class Stage:
    """Entered once for a whole run: a process that replays, a thread that collects, Outlay sending to it."""

    def __init__(self, server: Path, folder: Path) -> None:
        self._command = [sys.executable, str(server), "--corpus", str(folder), "--port", "0"]
        self._collector = _Collector()
        self._loop = asyncio.Runner()

    def __enter__(self) -> Self:
        threading.Thread(target=self._collector.serve_forever, daemon=True).start()
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url: str = json.loads(self._process.stdout.readline())["listening"]
        os.environ.setdefault("OUTLAY_STRICT", "1")
        os.environ.setdefault("OUTLAY_SPOOL_DIR", "off")
        outlay.instrument(endpoint=f"http://127.0.0.1:{self._collector.server_port}")
        return self

    def __exit__(self, *_: object) -> None:
        outlay.uninstrument()
        self._loop.close()
        self._process.terminate()
        self._process.wait(10)
        self._collector.shutdown()
        self._collector.server_close()

    def watch(self, play: Play, is_async: bool) -> tuple[list[Span], Exception | None]:
        """Play, and tell what spans came of it and what error the application got."""
        self._collector.spans = []
        error = None
        try:
            if is_async:
                self._loop.run(play())
            else:
                play()
        except Exception as raised:  # noqa: BLE001 - whatever an SDK raises is what is looked at
            error = raised
        if not outlay.flush():
            raise RuntimeError("the spans of a play did not arrive")
        return self._collector.spans, error
