"""LlamaIndex, in an environment of its own: it wants OpenAI's SDK older than 3."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from tests.conftest import Provider
from tests.instrumentation.doubles import Receiver
from tests.instrumentation.environments import environment_with

LLAMA_INDEX: Final = "llama-index-llms-openai==0.8.3"
PROGRAM: Final = """
import asyncio, sys
import outlay
outlay.instrument(endpoint=sys.argv[2])
from llama_index.core.base.llms.types import ChatMessage
from llama_index.llms.openai import OpenAI
model = OpenAI(model="gpt-4.1", api_base=sys.argv[1], api_key="none")
question = [ChatMessage(role="user", content="Which rivers end in the Black Sea?")]
assert model.chat(question).message.content
assert "".join(piece.delta or "" for piece in model.stream_chat(question))
assert asyncio.run(model.achat(question)).message.content
"""


def test_each_way_of_asking_is_one_call_with_the_providers_own_counts(
    fake_provider: Provider, receiver: Receiver, tmp_path: Path
) -> None:
    python = environment_with(tmp_path / "environment", LLAMA_INDEX)
    done = subprocess.run(
        [python, "-c", PROGRAM, fake_provider.openai, receiver.url],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [span.json("outlay.usage.raw")["prompt_tokens"] for span in receiver.spans]
    assert sorted(told) == sorted((entry.usage or {})["prompt_tokens"] for entry in fake_provider.log.entries)
    assert [span.attributes["outlay.cost.status"] for span in receiver.spans] == ["exact"] * 3
    assert [span.attributes.get("outlay.stream.end") for span in receiver.spans].count("drained") == 1
