"""How a request reaches the collector: over TLS, through proxies, and nowhere else."""

from __future__ import annotations

import gzip
import socket
import ssl
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from outlay import exchange
from outlay.budgets.lease import LeaseRequest
from outlay.budgets.remote import Remote, Unreachable
from outlay.exchange import post
from outlay.loopback import is_local
from outlay.post import Later, Post
from outlay.settings import read_settings

CERTIFICATE = Path(__file__).with_name("collector.test.pem")
"""Synthetic; of `localhost` and of `collector.test`, which is nowhere."""


class Server(ThreadingHTTPServer):
    """Answers 200 and keeps what it was asked; `/moved` leads elsewhere. As a proxy it joins whoever asks with itself
    behind TLS."""

    daemon_threads = True

    def __init__(self, behind: Server | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = behind
        self.asked: list[tuple[str, dict[str, str], bytes]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response({"/moved": 307, "/busy/v1/traces": 503}.get(self.path, 200))
        self.send_header("retry-after", "1795000000000")
        self.send_header("location", "/elsewhere")
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"taken")

    def do_CONNECT(self) -> None:
        assert self.server.behind is not None
        self.server.asked.append((self.path, {}, b""))
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(self.server.behind.server_address) as there:
            threading.Thread(target=_pass_on, args=(self.connection, there), daemon=True).start()
            _pass_on(there, self.connection)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    try:
        while piece := one.recv(65536):
            other.sendall(piece)
    except OSError:
        return  # either end has enough


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def plain() -> Iterator[Server]:
    with serving(Server()) as server:
        yield server


@pytest.fixture
def encrypted() -> Iterator[Server]:
    server, context = Server(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server):
        yield server


@pytest.fixture(autouse=True)
def first_request(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of a process: proxies and certificates are those of its environment."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for made_once in (exchange._opener, exchange._trusted):
        made_once.cache_clear()
    yield
    for made_once in (exchange._opener, exchange._trusted):
        made_once.cache_clear()


def port(server: Server) -> int:
    return int(server.server_address[1])


def test_a_collector_behind_tls_is_asked_and_its_certificate_checked(
    encrypted: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"https://localhost:{port(encrypted)}/v1/traces"
    with pytest.raises(OSError, match="certificate verify failed"):
        post(url, b"calls", {}, 10)
    exchange._trusted.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    assert [post(url, b"calls", {}, 10).body for _ in range(2)] == [b"taken", b"taken"]
    assert [path for path, _, _ in encrypted.asked] == ["/v1/traces", "/v1/traces"]


def test_certificates_are_read_once(encrypted: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(CERTIFICATE.read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    url = f"https://localhost:{port(encrypted)}/v1/traces"
    assert post(url, b"calls", {}, 10).status == 200
    trusted.unlink()
    assert post(url, b"calls", {}, 10).status == 200


def test_opentelemetrys_instrumentations_let_it_pass_and_nothing_else(
    plain: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of urllib does: it wraps the opener, and asks whether it may trace."""
    traced, send = [], urllib.request.OpenerDirector.open

    def seen(*args: Any, **options: Any) -> Any:
        traced.append(is_http_instrumentation_enabled())
        return send(*args, **options)

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", seen)
    url = f"http://127.0.0.1:{port(plain)}"
    Post(read_settings({"OUTLAY_ENDPOINT": url})).calls(b"calls", 60)
    with pytest.raises(Unreachable):  # what it says is no answer about budgets
        Remote(url, None).lease(LeaseRequest(holder="h"), 60)
    assert (traced, is_http_instrumentation_enabled()) == ([False, False], True)


def test_a_proxy_is_asked_for_a_collector_elsewhere(plain: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port(plain)}")
    settings = read_settings({"OUTLAY_ENDPOINT": "http://collector.test:4318", "OUTLAY_API_KEY": "key"})
    assert Post(settings).calls(b"calls", 10) == "taken"
    ((path, headers, body),) = plain.asked
    assert (path, gzip.decompress(body)) == ("http://collector.test:4318/v1/traces", b"calls")
    assert (headers["authorization"], headers["content-encoding"]) == ("Bearer key", "gzip")


def test_a_proxy_only_passes_on_what_is_encrypted(encrypted: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Server(behind=encrypted)) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port(proxy)}")
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        assert post("https://collector.test/v1/traces", b"calls", {"x-key": "secret"}, 10).status == 200
    assert proxy.asked == [("collector.test:443", {}, b"")]
    ((path, headers, body),) = encrypted.asked
    assert (path, headers["x-key"], body) == ("/v1/traces", "secret", b"calls")


def test_this_machine_is_reached_without_a_proxy(plain: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert post(f"http://127.0.0.1:{port(plain)}/v1/traces", b"calls", {}, 10).status == 200


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("http://localhost:4318", True),
        ("https://LOCALHOST", True),
        ("http://127.8.9.1:4318/v1", True),
        ("http://[::1]:4318", True),
        ("http://localhost.collector.test", False),
        ("http://127.collector.test", False),
        ("http://192.168.1.5", False),
        ("http://[::1", False),
        ("collector", False),
    ],
)
def test_what_this_machine_is(url: str, is_here: bool) -> None:
    assert is_local(url) is is_here


def test_no_collector_is_left_alone_for_years(plain: Server) -> None:
    with pytest.raises(Later) as later:
        Post(read_settings({"OUTLAY_ENDPOINT": f"http://127.0.0.1:{port(plain)}/busy"})).calls(b"calls", 10)
    assert later.value.seconds == 3600


def test_where_a_collector_leads_to_is_not_followed(plain: Server) -> None:
    answer = post(f"http://127.0.0.1:{port(plain)}/moved", b"calls", {"x-key": "secret"}, 10)
    assert (answer.status, answer.headers["Location"]) == (307, "/elsewhere")
    assert [path for path, _, _ in plain.asked] == ["/moved"]


@contextmanager
def silent() -> Iterator[tuple[str, int]]:
    """An address where nobody says yes or no: as many wait there already as may."""
    with socket.socket() as full, ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        while True:
            one = waiting.enter_context(socket.socket())
            one.settimeout(1)
            try:
                one.connect(full.getsockname())
            except TimeoutError:
                break
        yield full.getsockname()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere who is one too many is refused")
def test_a_name_of_several_addresses_is_given_the_time_of_one(plain: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The silent one before it leaves some for the one that answers, and no more than that is waited."""
    stream = socket.AF_INET, socket.SOCK_STREAM, 6, ""
    with silent() as nobody:
        both = [(*stream, nobody), (*stream, ("127.0.0.1", port(plain)))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
        assert post("http://collector.test/v1/traces", b"calls", {}, 20).status == 200
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both[:1] * 3)
        with pytest.raises(OSError, match="timed out"):
            post("http://collector.test/v1/traces", b"calls", {}, 1)
