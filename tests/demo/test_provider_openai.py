"""The fake provider as OpenAI's own SDK sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

if TYPE_CHECKING:
    from tests.conftest import Provider

HELLO: list[Any] = [{"role": "user", "content": "Say hello to the new customer."}]
HANDBOOK = "Rule: answer in one paragraph and name the page. " * 120  # 5,880 characters: 1,470 tokens, 11 steps of 128


def test_a_chat_completion_has_the_counts_the_log_has(chatter: openai.OpenAI, fake_provider: Provider) -> None:
    answer = chatter.chat.completions.create(model="gpt-4.1-mini", messages=HELLO)
    (entry,) = fake_provider.log.entries
    assert answer.usage is not None
    assert answer.model == entry.model == "gpt-4.1-mini-2025-04-14"
    assert answer.id == entry.response_id
    assert answer._request_id == entry.request_id
    assert entry.usage is not None
    assert answer.usage.model_dump(exclude_none=True) == dict(entry.usage)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.choices[0].message.content


def test_the_token_cap_ends_the_text(chatter: openai.OpenAI) -> None:
    answer = chatter.chat.completions.create(model="gpt-4.1-mini", messages=HELLO, max_completion_tokens=5)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5
    assert answer.choices[0].finish_reason == "length"
    assert len(answer.choices[0].message.content or "") == 20


def test_a_stream_says_its_usage_last_and_only_when_asked(chatter: openai.OpenAI, fake_provider: Provider) -> None:
    silent = list(chatter.chat.completions.create(model="gpt-4.1", messages=HELLO, stream=True))
    told = list(
        chatter.chat.completions.create(
            model="gpt-4.1", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert all(chunk.usage is None for chunk in silent)
    assert [bool(chunk.usage) for chunk in told] == [False] * (len(told) - 1) + [True]
    assert told[-1].choices == []
    first, second = fake_provider.log.entries
    assert first.usage is None
    assert first.complete
    assert second.usage is not None
    assert told[-1].usage is not None
    assert told[-1].usage.total_tokens == second.usage["total_tokens"]


def test_a_long_system_prompt_is_read_from_the_cache_the_second_time(chatter: openai.OpenAI) -> None:
    messages: list[Any] = [{"role": "system", "content": HANDBOOK}, *HELLO]
    usages = [chatter.chat.completions.create(model="gpt-4o-mini", messages=messages).usage for _ in range(2)]
    cached = [u.prompt_tokens_details.cached_tokens for u in usages if u and u.prompt_tokens_details]
    assert cached == [0, 1408]


def test_reasoning_is_inside_the_output(chatter: openai.OpenAI) -> None:
    answer = chatter.responses.create(model="gpt-5-mini", input="Plan the move.")
    assert answer.usage is not None
    assert answer.status == "completed"
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    reasoning = answer.usage.output_tokens_details.reasoning_tokens
    assert 0 < reasoning < answer.usage.output_tokens
    assert len(answer.output_text) == 4 * (answer.usage.output_tokens - reasoning)


def test_a_streamed_response_ends_with_the_whole_response(chatter: openai.OpenAI, fake_provider: Provider) -> None:
    with chatter.responses.stream(model="gpt-4.1", input="Plan the move.") as stream:
        events = list(stream)
        final = stream.get_final_response()
    (entry,) = fake_provider.log.entries
    assert events[-1].type == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert final.usage is not None
    assert entry.usage is not None
    assert final.usage.total_tokens == entry.usage["total_tokens"]
    assert final.id == entry.response_id


@pytest.mark.parametrize("dimensions", [None, 256])
def test_embeddings_have_the_length_that_was_asked_for(chatter: openai.OpenAI, dimensions: int | None) -> None:
    answer = chatter.embeddings.create(
        model="text-embedding-3-small", input=["one text", "another"], dimensions=dimensions or openai.omit
    )
    assert [len(item.embedding) for item in answer.data] == [dimensions or 1536] * 2
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 4  # 15 characters


def test_the_sdk_retries_a_rate_limit_and_each_attempt_is_logged(
    chatter: openai.OpenAI, fake_provider: Provider
) -> None:
    answer = chatter.chat.completions.create(model="gpt-4.1", messages=HELLO, extra_headers={"x-fault": "429x2"})
    assert [entry.status for entry in fake_provider.log.entries] == [429, 429, 200]
    assert fake_provider.log.entries[-1].response_id == answer.id
    assert fake_provider.log.entries[0].usage is None


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, openai.RateLimitError), (500, openai.InternalServerError), (400, openai.BadRequestError)],
)
def test_a_lasting_failure_is_the_sdks_own_error(
    chatter: openai.OpenAI, status: int, error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as failure:
        chatter.with_options(max_retries=0).responses.create(
            model="gpt-4.1", input="hi", extra_headers={"x-fault": str(status)}
        )
    headers = failure.value.response.headers
    assert ("retry-after" in headers) == (status != 400)
    assert headers["x-ratelimit-limit-requests"] == "10000"
    assert failure.value.request_id


def test_headroom_shrinks_with_every_request(chatter: openai.OpenAI) -> None:
    remaining = [
        int(
            chatter.chat.completions.with_raw_response.create(model="gpt-4.1", messages=HELLO).headers[
                "x-ratelimit-remaining-tokens"
            ]
        )
        for _ in range(2)
    ]
    assert remaining[1] != remaining[0]


def test_a_stream_that_is_cut_is_logged_as_incomplete(chatter: openai.OpenAI, fake_provider: Provider) -> None:
    stream = chatter.chat.completions.create(
        model="gpt-4.1", messages=HELLO, stream=True, extra_headers={"x-fault": "cut=2"}
    )
    with pytest.raises(openai.APIConnectionError):
        list(stream)
    (entry,) = fake_provider.log.entries
    assert not entry.complete
    assert entry.usage is None


def test_a_call_without_a_key_is_refused(fake_provider: Provider) -> None:
    question = {"model": "gpt-4.1", "messages": HELLO}
    answer = httpx2.post(f"{fake_provider.openai}/chat/completions", json=question, timeout=60)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
