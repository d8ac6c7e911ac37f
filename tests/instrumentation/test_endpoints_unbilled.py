"""Requests of OpenAI's and Anthropic's SDKs that are no call, and those that finish a call made before."""

from __future__ import annotations

import json
from typing import Final

import httpx2
import openai
import pytest

from tests.instrumentation.clients import QUESTION, Ask, anthropic_at, both_kinds, made, openai_at, read_all
from tests.instrumentation.doubles import Receiver, settled
from tests.instrumentation.endpoints import Endpoints

UNBILLED_OPENAI: Final[dict[str, Ask]] = {
    "models": lambda c: c.models.list(),
    "batch created": lambda c: c.batches.create(
        input_file_id="file_1", endpoint="/v1/chat/completions", completion_window="24h"
    ),
    "batch polled": lambda c: c.batches.retrieve("batch_1"),
    "file uploaded": lambda c: c.files.create(file=("a.jsonl", b"{}"), purpose="batch"),
    "file read": lambda c: c.files.content("file_1"),
    "response fetched that was billed when it was made": lambda c: c.responses.retrieve("resp_1"),
    "responses listed": lambda c: c.responses.input_items.list("resp_1"),
    "video downloaded": lambda c: c.videos.download_content("video_1"),
}
UNBILLED_ANTHROPIC: Final[dict[str, Ask]] = {
    "models": lambda c: c.models.list(),
    "tokens counted": lambda c: c.messages.count_tokens(model="claude-sonnet-4-6", messages=QUESTION),
    "batch created": lambda c: c.messages.batches.create(
        requests=[
            {"custom_id": "a", "params": {"model": "claude-sonnet-4-6", "max_tokens": 1, "messages": QUESTION}},
        ]
    ),
    "batch polled": lambda c: c.messages.batches.retrieve("msgbatch_1"),
}


@pytest.mark.parametrize("kind", UNBILLED_OPENAI)
@both_kinds
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_what_openai_does_not_bill_is_no_call(
    kind: str, is_async: bool, endpoints: Endpoints, instrumented: Receiver
) -> None:
    await made(openai_at(endpoints.url, is_async), UNBILLED_OPENAI[kind])
    assert endpoints.requests
    assert instrumented.calls() == []


@pytest.mark.parametrize("kind", UNBILLED_ANTHROPIC)
@both_kinds
async def test_what_anthropic_does_not_bill_is_no_call(
    kind: str, is_async: bool, endpoints: Endpoints, instrumented: Receiver
) -> None:
    await made(anthropic_at(endpoints.url, is_async), UNBILLED_ANTHROPIC[kind])
    assert endpoints.requests
    assert instrumented.calls() == []


@both_kinds
@pytest.mark.parametrize("how", ["retrieve", "raw response", "stream"])
async def test_a_response_made_in_the_background_is_reported_again_once_when_it_is_done(
    how: str, is_async: bool, endpoints: Endpoints, instrumented: Receiver
) -> None:
    client = openai_at(endpoints.url, is_async)
    await settled(client.responses.create(model="gpt-4.1", input="?", background=True))
    for _ in range(2):  # whoever polls may come again
        if how == "retrieve":
            await settled(client.responses.retrieve("resp_background"))
        elif how == "stream":
            await read_all(client.responses.retrieve("resp_background", stream=True))
        else:
            await settled(client.responses.with_raw_response.retrieve("resp_background"))
    await settled(client.close())
    asked, done = instrumented.calls()
    assert asked["gen_ai.response.id"] == done["gen_ai.response.id"] == "resp_background"  # one call to a collector
    assert asked["outlay.cost.status"] == "unpriced"
    assert asked["outlay.cost.reason"] == "the response is queued"
    assert done["gen_ai.usage.input_tokens"] == 100
    assert done["outlay.cost.nano_usd"] == 300_000
    if how != "stream":
        started_at_ns = instrumented.spans[1].started_at_ns
        assert started_at_ns == 1_790_000_000 * 10**9  # its price is the one of when it was asked for


@both_kinds
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_video_is_counted_by_the_second_when_it_is_done(
    is_async: bool, endpoints: Endpoints, instrumented: Receiver
) -> None:
    client = openai_at(endpoints.url, is_async)
    if not hasattr(client, "videos"):
        pytest.skip("not in this version: videos")
    await settled(client.videos.create(model="sora-2", prompt="a river", seconds="4"))
    await settled(client.videos.retrieve("video_1"))
    await settled(client.close())
    asked, done = instrumented.calls()
    assert asked["outlay.cost.reason"] == "the video is queued"
    assert json.loads(done["outlay.usage"]) == {"video_second": "4"}


@pytest.mark.parametrize("path", ["/oauth/token", "/v1/token"])
def test_a_token_fetched_inside_a_call_is_no_attempt_of_it(
    path: str, endpoints: Endpoints, instrumented: Receiver
) -> None:
    def refresh() -> str:
        with httpx2.Client(timeout=60) as http:
            return str(http.post(endpoints.url + path).json()["access_token"])

    client = openai.AzureOpenAI(
        azure_endpoint=endpoints.url,
        api_version="2026-01-01",
        azure_ad_token_provider=refresh,
        max_retries=0,
    )
    with client:
        client.chat.completions.create(model="gpt-4.1", messages=QUESTION)
    call = instrumented.only_call()
    assert endpoints.paths == [path, "/openai/deployments/gpt-4.1/chat/completions"]
    assert [attempt["status"] for attempt in json.loads(call["outlay.attempts"])] == [200]
    assert "http.request.resend_count" not in call
