"""The fake provider as Anthropic's own SDK sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import pytest

if TYPE_CHECKING:
    from tests.conftest import Provider

HELLO: list[Any] = [{"role": "user", "content": "Say hello to the new customer."}]


def handbook(ttl: str | None, mark: str) -> list[Any]:
    """A system prompt of 4,900 characters, 1,225 tokens, marked for the cache. `mark` keeps tests apart."""
    control = {"type": "ephemeral"} | ({"ttl": ttl} if ttl else {})
    return [
        {
            "type": "text",
            "text": (mark + ": answer in one paragraph and name the page.  ")[:49] * 100,
            "cache_control": control,
        }
    ]


def test_a_message_has_the_counts_the_log_has(messenger: anthropic.Anthropic, fake_provider: Provider) -> None:
    answer = messenger.messages.create(model="claude-haiku-4-5", max_tokens=2000, messages=HELLO)
    (entry,) = fake_provider.log.entries
    assert answer.model == entry.model == "claude-haiku-4-5-20251001"
    assert answer.id == entry.response_id
    assert answer._request_id == entry.request_id
    assert entry.usage is not None
    assert answer.usage.model_dump(exclude_none=True) == dict(entry.usage)
    assert answer.stop_reason == "end_turn"


@pytest.mark.parametrize(("ttl", "short", "long"), [(None, 1225, 0), ("5m", 1225, 0), ("1h", 0, 1225)])
def test_the_cache_is_written_once_with_its_lifetime_and_then_read(
    messenger: anthropic.Anthropic, ttl: str | None, short: int, long: int
) -> None:
    system = handbook(ttl, f"ttl {ttl}")
    first, second = (
        messenger.messages.create(model="claude-sonnet-4-6", max_tokens=100, system=system, messages=HELLO).usage
        for _ in range(2)
    )
    assert first.cache_creation is not None
    assert first.cache_creation.ephemeral_5m_input_tokens == short
    assert first.cache_creation.ephemeral_1h_input_tokens == long
    assert (first.cache_creation_input_tokens, first.cache_read_input_tokens) == (1225, 0)
    assert (second.cache_creation_input_tokens, second.cache_read_input_tokens) == (0, 1225)
    assert first.input_tokens == second.input_tokens == 16  # 30 characters, and 8 tokens of framing


def test_a_stream_says_its_input_first_and_its_output_last(
    messenger: anthropic.Anthropic, fake_provider: Provider
) -> None:
    events = list(messenger.messages.create(model="claude-haiku-4-5", max_tokens=2000, messages=HELLO, stream=True))
    assert events[0].type == "message_start"
    assert events[-2].type == "message_delta"
    assert events[-1].type == "message_stop"
    (entry,) = fake_provider.log.entries
    assert entry.usage is not None
    assert events[0].message.usage.input_tokens == entry.usage["input_tokens"]
    assert events[-2].usage.output_tokens == entry.usage["output_tokens"]


def test_the_streaming_helper_gathers_the_message(messenger: anthropic.Anthropic, fake_provider: Provider) -> None:
    with messenger.messages.stream(
        model="claude-sonnet-4-6", max_tokens=2000, messages=HELLO, thinking={"type": "enabled", "budget_tokens": 1024}
    ) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    (entry,) = fake_provider.log.entries
    assert [block.type for block in final.content] == ["thinking", "text"]
    assert final.usage.output_tokens_details is not None
    thinking = final.usage.output_tokens_details.thinking_tokens
    assert len(text) == 4 * (final.usage.output_tokens - thinking)
    assert entry.response_id == final.id


def test_the_sdk_retries_an_overload(messenger: anthropic.Anthropic, fake_provider: Provider) -> None:
    messenger.messages.create(
        model="claude-haiku-4-5", max_tokens=50, messages=HELLO, extra_headers={"x-fault": "529x1,slow=0.01"}
    )
    assert [entry.status for entry in fake_provider.log.entries] == [529, 200]


def test_a_lasting_rate_limit_is_the_sdks_own_error(messenger: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.RateLimitError) as failure:
        messenger.with_options(max_retries=0).messages.create(
            model="claude-haiku-4-5", max_tokens=50, messages=HELLO, extra_headers={"x-fault": "429"}
        )
    assert failure.value.response.headers["anthropic-ratelimit-requests-limit"] == "10000"
    assert failure.value.response.headers["retry-after"]
    assert failure.value.type == "rate_limit_error"


def test_a_stream_the_client_leaves_is_logged_with_what_was_sent(
    messenger: anthropic.Anthropic, fake_provider: Provider
) -> None:
    with messenger.messages.create(
        model="claude-haiku-4-5", max_tokens=2000, messages=HELLO, stream=True, extra_headers={"x-fault": "cut=4"}
    ) as stream:
        next(stream)
    with pytest.raises(httpx2.RemoteProtocolError):
        list(
            messenger.messages.create(
                model="claude-haiku-4-5",
                max_tokens=2000,
                messages=HELLO,
                stream=True,
                extra_headers={"x-fault": "cut=4"},
            )
        )
    for entry in fake_provider.log.entries:
        assert not entry.complete
        assert entry.usage is not None
        assert entry.usage["output_tokens"] == 1
