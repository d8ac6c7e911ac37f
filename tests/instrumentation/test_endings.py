"""Ends of a process, forks and servers that fork: no call is lost that could be sent, and nothing of the application's
own way to end is changed."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import httpx2
import openai
import outlay
import pytest

from tests.conftest import Provider
from tests.instrumentation import application
from tests.instrumentation.doubles import Receiver
from tests.instrumentation.spooling import inherit
from tests.waiting import own_port, until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")


def script(folder: Path, code: str, name: str = "service.py") -> Path:
    """A program that asks `ask()` for the id of an answer, under Outlay once it says `instrument()`."""
    head = """
    import os, sys
    import openai, outlay

    def instrument():
        outlay.instrument("openai", endpoint=os.environ["TEST_COLLECTOR"])

    def ask():
        with openai.OpenAI(api_key="none", base_url=os.environ["TEST_PROVIDER"]) as client:
            messages = [{"role": "user", "content": "Which rivers end in the Black Sea?"}]
            return client.chat.completions.create(model="gpt-4.1-mini", messages=messages).id
    """
    path = folder / name
    path.write_text(textwrap.dedent(head) + textwrap.dedent(code))
    return path


@pytest.fixture(autouse=True)
def _where(fake_provider: Provider, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_COLLECTOR", receiver.url)
    monkeypatch.setenv("TEST_PROVIDER", fake_provider.openai)
    monkeypatch.setenv("OUTLAY_EXPORT_INTERVAL_S", "60")  # nothing is sent but at an end
    monkeypatch.setenv("OUTLAY_EXIT_FLUSH_S", "30")  # and then all of it, however slow this machine is just now


def run(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_sigterm_ends_the_process_as_it_would_and_what_waits_is_sent_first(tmp_path: Path, receiver: Receiver) -> None:
    done = run(script(tmp_path, "instrument(); print(ask(), flush=True); os.kill(os.getpid(), 15); os.pause()"))
    assert done.returncode == -signal.SIGTERM
    assert receiver.response_ids == done.stdout.split()


def test_one_sigterm_is_seen_by_all_that_wait_for_it(tmp_path: Path) -> None:
    code = """
    from outlay.ending import Ending
    for name in ("delivery", "budgets", "gone"):
        ending = Ending(lambda name=name: print(name, flush=True), 5.0)
    ending.undo()
    os.kill(os.getpid(), 15)
    os.pause()
    """
    done = run(script(tmp_path, code))
    assert (done.returncode, done.stdout.split()) == (-signal.SIGTERM, ["delivery", "budgets"])


def test_a_handler_of_the_applications_own_stays_and_decides(tmp_path: Path, receiver: Receiver) -> None:
    code = """
    import signal
    def handle(number, frame):
        print("handled", flush=True)
        sys.exit(7)
    signal.signal(signal.SIGTERM, handle)
    instrument()
    print(ask(), flush=True)
    assert signal.getsignal(signal.SIGTERM) is handle
    os.kill(os.getpid(), 15)
    """
    done = run(script(tmp_path, code))
    assert (done.returncode, done.stdout.split()[1]) == (7, "handled")
    assert receiver.response_ids == done.stdout.split()[:1]


def test_sigterm_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    code = """
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    instrument()
    os.kill(os.getpid(), 15)
    print(signal.getsignal(signal.SIGTERM) is signal.SIG_IGN)
    """
    assert run(script(tmp_path, code)).stdout == "True\n"


def test_taking_outlay_out_leaves_no_thread_no_handler_and_nothing_to_do_at_exit(
    fake_provider: Provider, receiver: Receiver, spool_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_exit: list[Any] = []
    monkeypatch.setattr(atexit, "register", lambda task, *_, **__: at_exit.append(task))
    monkeypatch.setattr(atexit, "unregister", lambda task: at_exit.remove(task) if task in at_exit else None)
    before = signal.getsignal(signal.SIGTERM), set(threading.enumerate())
    with openai.OpenAI(api_key="none", base_url=fake_provider.openai) as client:
        outlay.instrument("openai", endpoint=receiver.url)
        application.ask(client)
        ours = [task for task in at_exit if task.__module__.startswith("outlay.")]
        assert sorted(task.__module__ for task in ours) == ["outlay.budgets.client", "outlay.export"]
        assert signal.getsignal(signal.SIGTERM) is not before[0]
        outlay.uninstrument()
    until(lambda: set(threading.enumerate()) <= before[1], "a thread has stayed")
    assert signal.getsignal(signal.SIGTERM) is before[0]
    assert [task for task in at_exit if task in ours] == []
    assert list(spool_dir.glob("*")) == []
    assert len(receiver.spans) == 1


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_send_their_own_calls_once(
    tmp_path: Path, receiver: Receiver, spool_dir: Path, method: str
) -> None:
    code = """
    import multiprocessing

    def work(out):
        instrument()  # nothing more in a fork of a process that has
        for _ in range(2):
            os.write(out, (ask() + "\\n").encode())

    if __name__ == "__main__":
        instrument()
        print(ask(), flush=True)
        context = multiprocessing.get_context(sys.argv[1])
        with os.fdopen(1, "wb", closefd=False):
            children = [context.Process(target=work, args=(2,)) for _ in range(3)]
            for child in children:
                child.start()
            for child in children:
                child.join()
        assert [child.exitcode for child in children] == [0, 0, 0], children
    """
    done = run(script(tmp_path, code), method)
    assert done.returncode == 0, done.stderr
    ids = done.stdout.split() + done.stderr.split()
    assert len(ids) == 7
    assert sorted(receiver.response_ids) == sorted(ids)
    assert list(spool_dir.glob("*")) == []


def test_a_child_that_is_gone_without_an_end_leaves_its_calls_on_disk(
    tmp_path: Path, receiver: Receiver, spool_dir: Path
) -> None:
    code = """
    import time
    instrument()
    if os.fork() == 0:
        print(ask(), flush=True)
        while not any(os.stat(os.path.join(os.environ["OUTLAY_SPOOL_DIR"], name)).st_size
                      for name in os.listdir(os.environ["OUTLAY_SPOOL_DIR"]) if name.endswith(".calls")):
            time.sleep(0.01)
        os._exit(0)
    os.wait()
    """
    spool_dir.mkdir(mode=0o700)
    done = run(script(tmp_path, code))
    assert done.returncode == 0, done.stderr
    assert receiver.response_ids == []
    inherit(receiver, spool_dir)
    assert receiver.response_ids == done.stdout.split()


@pytest.mark.parametrize("preload", [True, False])
def test_workers_of_gunicorn_send_their_calls_when_they_are_stopped(
    tmp_path: Path, receiver: Receiver, spool_dir: Path, preload: bool
) -> None:
    code = """
    instrument()

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{os.getpid()} {ask()}".encode()]
    """
    script(tmp_path, code)
    command = [sys.executable, "-m", "gunicorn", "service:app", "-w", "2", "--log-level", "error"]
    command += ["--timeout", "300", "--graceful-timeout", "300"]
    command += [*(["--no-control-socket"] if _has_control() else []), *(["--preload"] if preload else [])]
    with own_port() as port, subprocess.Popen([*command, "-b", f"127.0.0.1:{port}"], cwd=tmp_path) as server:
        try:
            until(lambda: _answers(port), "gunicorn")
            said = [httpx2.get(f"http://127.0.0.1:{port}/", timeout=60).text.split() for _ in range(8)]
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    assert sorted(receiver.response_ids) == sorted(call for _, call in said)
    assert list(spool_dir.glob("*")) == []


def test_workers_of_celery_send_their_calls_when_they_are_stopped(
    tmp_path: Path, receiver: Receiver, spool_dir: Path
) -> None:
    code = """
    from celery import Celery

    folder = os.path.join(os.path.dirname(__file__), "queue")
    os.makedirs(folder, exist_ok=True)
    os.makedirs(folder + "-control", exist_ok=True)
    app = Celery("service", broker="filesystem://")
    app.conf.broker_transport_options = {"data_folder_in": folder, "data_folder_out": folder,
                                         "control_folder": folder + "-control"}
    instrument()

    @app.task
    def work():
        with open(os.path.join(os.path.dirname(__file__), "answers"), "a") as answers:
            answers.write(ask() + "\\n")

    if __name__ == "__main__":
        for _ in range(4):
            work.delay()
    """
    path = script(tmp_path, code)
    asked = subprocess.run([sys.executable, "-c", "import service; [service.work.delay() for _ in range(4)]"],
                           cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    command = [sys.executable, "-m", "celery", "-A", "service", "worker", "-P", "prefork", "-c", "2"]
    answers = path.with_name("answers")
    with subprocess.Popen([*command, "--without-gossip", "--without-mingle", "-l", "error"], cwd=tmp_path,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as worker:  # fmt: skip
        try:
            until(lambda: answers.is_file() and len(answers.read_text().split()) == 4, "four answers")
        finally:
            worker.send_signal(signal.SIGTERM)
    # What a child of the pool could not send at its end lies on disk for the next process.
    inherit(receiver, spool_dir)
    assert sorted(receiver.response_ids) == sorted(answers.read_text().split())


def test_a_function_that_is_frozen_between_requests_flushes_before_it_answers(
    tmp_path: Path, receiver: Receiver
) -> None:
    code = """
    instrument()

    def handler(event, context):
        try:
            return ask()
        finally:
            outlay.flush(timeout_s=20)

    for _ in range(2):
        print(handler({}, None), flush=True)
    os.kill(os.getpid(), 9)
    """
    done = run(script(tmp_path, code))
    assert receiver.response_ids == done.stdout.split()
    assert len(receiver.spans) == 2


def _answers(port: int) -> bool:
    try:
        return socket.create_connection(("127.0.0.1", port), 1).close() is None
    except OSError:
        return False


def _has_control() -> bool:
    listing = subprocess.run([sys.executable, "-m", "gunicorn", "--help"], capture_output=True, text=True, check=False)
    return "--no-control-socket" in listing.stdout
