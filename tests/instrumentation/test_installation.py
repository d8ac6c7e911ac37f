"""`instrument()` and `uninstrument()`: what they change, and that nothing of it stays."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import outlay
import pytest
from outlay import installation

from tests.conftest import Provider
from tests.instrumentation.doubles import Receiver

QUESTION: Any = [{"role": "user", "content": "Which rivers end in the Black Sea?"}]


def touched() -> dict[str, Any]:
    """Everything that could have been replaced."""
    owners = [
        *(getattr(sdk._base_client, name) for sdk in (openai, anthropic) for name in (
            "SyncAPIClient", "AsyncAPIClient", "BaseClient", "Stream", "AsyncStream",
        )),
        *(httpx2.Client, httpx2.AsyncClient, httpx2.Response, anthropic._base_client, openai._base_client),
    ]  # fmt: skip
    return {f"{owner.__module__ if isinstance(owner, type) else ''}.{owner.__name__}.{name}": value
            for owner in owners for name, value in vars(owner).items()}  # fmt: skip


def run(code: str, **environment: str) -> str:
    """What the code prints in a process of its own."""
    kept = {"OUTLAY_SPOOL_DIR": os.environ["OUTLAY_SPOOL_DIR"]}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env={**kept, "PATH": "", "OUTLAY_STRICT": "1", "OUTLAY_EXIT_FLUSH_S": "30", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_uninstrument_leaves_no_trace(receiver: Receiver) -> None:
    before = touched()
    finders = list(sys.meta_path)
    outlay.instrument(endpoint=receiver.url)
    during = touched()
    assert {name.rpartition(".")[2] for name in during if during[name] is not before[name]} == {
        *("request", "_process_response_data", "start_api_call_span"),
        *("send", "close", "aclose", "iter_bytes", "aiter_bytes", "iter_raw", "aiter_raw"),
    }
    outlay.uninstrument()
    after = touched()
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] is not before[name]] == []
    assert sys.meta_path == finders


def test_a_client_made_before_is_seen_and_after_is_not(fake_provider: Provider, receiver: Receiver) -> None:
    with openai.OpenAI(api_key="none", base_url=fake_provider.openai) as client:
        client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
        outlay.instrument(endpoint=receiver.url)
        client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
        outlay.uninstrument()
        client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
    assert len(fake_provider.log.entries) == 3
    assert len(receiver.spans) == 1


def test_a_stream_that_outlives_uninstrument_goes_on(fake_provider: Provider, receiver: Receiver) -> None:
    outlay.instrument(endpoint=receiver.url)
    with openai.OpenAI(api_key="none", base_url=fake_provider.openai) as client:
        stream = client.chat.completions.create(model="gpt-4.1", messages=QUESTION, stream=True)
        first = next(stream)
        outlay.uninstrument()
        assert [first.object, *(chunk.object for chunk in stream)][-1] == "chat.completion.chunk"


def test_instrumenting_twice_counts_once(fake_provider: Provider, instrumented: Receiver) -> None:
    outlay.instrument()
    outlay.instrument("openai")
    with openai.OpenAI(api_key="none", base_url=fake_provider.openai) as client:
        client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
    assert len(instrumented.calls()) == 1


def test_only_the_sdk_that_was_named_is_instrumented(fake_provider: Provider, receiver: Receiver) -> None:
    outlay.instrument("anthropic", endpoint=receiver.url)
    with (
        openai.OpenAI(api_key="none", base_url=fake_provider.openai) as one,
        anthropic.Anthropic(api_key="none", base_url=fake_provider.anthropic) as other,
    ):
        one.chat.completions.create(model="gpt-4.1", messages=QUESTION)
        other.messages.create(model="claude-sonnet-4-6", max_tokens=20, messages=QUESTION)
    outlay.uninstrument()
    assert [span.attributes["gen_ai.provider.name"] for span in receiver.spans] == ["anthropic"]


def test_what_somebody_else_wrapped_since_is_left_to_them(fake_provider: Provider, receiver: Receiver) -> None:
    client_class = openai._base_client.SyncAPIClient
    original = client_class.request
    outlay.instrument(endpoint=receiver.url)
    ours = client_class.request

    def theirs(*args: Any, **kwargs: Any) -> Any:
        return ours(*args, **kwargs)

    client_class.request = theirs  # type: ignore[method-assign]
    try:
        outlay.uninstrument()
        assert client_class.request is theirs
        with openai.OpenAI(api_key="none", base_url=fake_provider.openai) as client:
            assert client.chat.completions.create(model="gpt-4.1", messages=QUESTION).id
        assert receiver.spans == []
    finally:
        client_class.request = original  # type: ignore[method-assign]


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(outlay.NotInstrumentable, match=r"openay.*openai, anthropic"):
        outlay.instrument("openay")
    assert installation.runtime() is None


def test_a_missing_sdk_is_an_error_only_where_it_was_named() -> None:
    hidden = """
        import importlib.util
        real = importlib.util.find_spec
        importlib.util.find_spec = lambda name, package=None: None if name == "anthropic" else real(name, package)
        import outlay
        outlay.instrument()
        try:
            outlay.instrument("anthropic")
        except outlay.NotInstrumentable as error:
            print(error)
    """
    assert run(hidden) == "anthropic is not installed: pip install 'anthropic>=1.0'"


def test_disabled_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = touched()
    monkeypatch.setenv("OUTLAY_DISABLED", "true")
    outlay.instrument()
    assert installation.runtime() is None
    assert [name for name, value in touched().items() if value is not before[name]] == []


def test_an_sdk_imported_later_is_instrumented_then(fake_provider: Provider, receiver: Receiver) -> None:
    code = f"""
        import sys
        import outlay
        outlay.instrument(endpoint={receiver.url!r})
        assert not {{"openai", "anthropic", "httpx2"}} & set(sys.modules)
        import openai
        assert type(openai._base_client.__loader__).__name__ == "SourceFileLoader"
        assert "exec_module" not in vars(openai._base_client.__loader__)
        with openai.OpenAI(api_key="none", base_url={fake_provider.openai!r}) as client:
            client.chat.completions.create(model="gpt-4.1", messages={QUESTION!r})
    """
    run(code)
    (span,) = receiver.spans
    assert span.attributes["outlay.cost.status"] == "exact"


def test_a_module_that_was_only_looked_for_is_patched_once_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "sought.py").write_text("class Client:\n    send = 1\n")
    code = f"""
        import importlib.util, sys
        from outlay.patches import Patches
        sys.path.insert(0, {str(tmp_path)!r})
        for name in "send", "stream":
            Patches().when_imported("sought", lambda module, name=name: setattr(module.Client, name, 2))
        for _ in range(3):
            assert importlib.util.find_spec("sought") is not None
        import sought
        print(sought.Client.send, sought.Client.stream, "exec_module" in vars(sought.__loader__))
    """
    assert run(code) == "2 2 False"


def test_an_sdk_that_a_thread_is_importing_is_instrumented_once_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import __main__\n__main__.go_on()\nclass Client:\n    send = 1\n")
    code = f"""
        import sys, threading
        from outlay.patches import Patches
        sys.path.insert(0, {str(tmp_path)!r})
        importing, may_go_on = threading.Event(), threading.Event()

        def go_on():
            importing.set()
            may_go_on.wait(0.5)

        thread = threading.Thread(target=lambda: __import__("slow"))
        thread.start()
        importing.wait()
        Patches().when_imported("slow", lambda module: setattr(module.Client, "send", 2))
        thread.join()
        print(sys.modules["slow"].Client.send)
    """
    assert run(code) == "2"


def test_before_instrument_everything_is_quiet() -> None:
    assert outlay.flush()
    outlay.record(response={"model": "gpt-4o", "usage": {}})
    outlay.cache_hit(model="gpt-4o", usage={"input": 1})
    outlay.uninstrument()
