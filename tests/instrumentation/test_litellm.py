"""LiteLLM, in an environment of its own: one span a call, whichever of its two ways the request takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from shutil import which
from typing import Any, Final

import pytest

from tests.conftest import REPOSITORY, Provider
from tests.instrumentation.doubles import Receiver

LITELLM: Final = "litellm==1.106.2"
APPLICATION: Final = Path(__file__).with_name("litellm_application.py")


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of an environment with LiteLLM and Outlay. Skips where it cannot be made, as without a network."""
    uv = which("uv") or str(Path(sys.executable).with_name("uv"))
    folder = tmp_path_factory.mktemp("litellm") / "environment"
    found = f"{folder}/bin/python"
    install = [uv, "pip", "install", "-q", "--python", found, LITELLM, "-e", str(REPOSITORY / "instrumentation")]
    for command in ([uv, "venv", "-q", "--python", sys.executable, str(folder)], install):
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"no environment for {LITELLM}: {getattr(error, 'stderr', None) or error}")
    return found


@pytest.fixture
def run(python: str, fake_provider: Provider, receiver: Receiver) -> Any:
    """Runs the application and gives what it was answered."""

    def answer(way: str) -> str:
        command = [python, str(APPLICATION), fake_provider.url, receiver.url, way]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=REPOSITORY)
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout.splitlines()[-1])["answer"])

    return answer


def _only_call(receiver: Receiver) -> dict[str, Any]:
    (span,) = receiver.spans
    return span.attributes


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("how", ["", "stream", "async", "async-stream"])
def test_a_call_through_litellm_is_one_span(
    provider: str, how: str, run: Any, fake_provider: Provider, receiver: Receiver
) -> None:
    assert len(run(f"{provider}-{how}")) > 20
    (sent,) = fake_provider.log.entries
    usage: Any = sent.usage
    names = ("prompt_tokens", "completion_tokens") if provider == "openai" else ("input_tokens", "output_tokens")
    call = _only_call(receiver)
    assert call["gen_ai.provider.name"] == provider
    assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == tuple(usage[n] for n in names)
    assert call["outlay.cost.status"] == "exact"
    assert [attempt["status"] for attempt in json.loads(call["outlay.attempts"])] == [200]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("how", ["error", "async-error"])
def test_a_refused_call_is_litellms_own_error_and_one_span(
    provider: str, how: str, run: Any, receiver: Receiver
) -> None:
    assert run(f"{provider}-{how}") == "litellm.RateLimitError"
    call = _only_call(receiver)
    assert call["http.response.status_code"] == 429
    assert call["error.type"] == ("RateLimitError" if provider == "openai" else "429")
    assert call["outlay.cost.nano_usd"] == 0


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("how", ["refused", "async-refused"])
def test_what_a_budget_refuses_leaves_litellm_as_it_is_and_is_not_sent(
    provider: str, how: str, run: Any, fake_provider: Provider, receiver: Receiver
) -> None:
    assert run(f"{provider}-{how}") == "outlay.BudgetExceeded"
    assert fake_provider.log.entries == []
    assert receiver.spans == []
