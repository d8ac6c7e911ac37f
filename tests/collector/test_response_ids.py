"""Which response ids tell a call by themselves, and under which key a call is stored. All ids here are synthetic."""

from __future__ import annotations

import random
import string
from collections.abc import Callable

import pytest
from outlay_collector.response_ids import is_unguessable, key_of_response, key_to_keep, key_with_provider

LETTERS = string.ascii_letters + string.digits
UNGUESSABLE = {
    "openrouter": "gen-1770000000-x4nQ9ui2wVbWnx7Z5hVM",
    "openai chat": "chatcmpl-B7q9Xk2LmZ4tRw8yPd3sVf6hJc1nG",
    "openai response": "resp_68a1c4f09b7e8190a5d3c27be1f4096d0b8e2a7c5f319d64",
    "groq": "chatcmpl-3f2b8c71-9d4e-4a06-b5c8-1e7f0a92d36b",
    "mistral": "9c41e7a2b08f4d63a5e1c7f92b3d8046",
    "anthropic": "msg_01Kx7RbT4nVq9ZsPd2hYwG5c",
    "anthropic on bedrock": "msg_bdrk_01Wd5TnR8xKq2VbYs7ZhPg4c",
    "google": "dO7Taef9C56fjNsP2ZvwXAw",
    "together": "ovKbxP2-7Ng1vQ-b374a17d8e0bf66c",
}
GUESSABLE = {
    "a number": "1234",
    "short": "resp_1",
    "counted by a local server": "chatcmpl-178",
    "counted with zeros before": "chatcmpl-00000000000000000000000000001f2b",
    "a UUID that is counted": "00000000-0000-0000-0000-000000001f2b",
    "long digits": "chatcmpl-123456789012345678901234567890",
    "a time": "gen-1770000000",
    "a time, written out": "req-2026-11-21T22:40:01.123456Z",
    "words": "chatcmpl-made-up-by-the-person-who-tests",
    "words and a number": "chatcmpl-AsyncTest123456789",
    "words that are counted": "user-1-turn-2-call-3-try-4-of-5",
    "random but short": "a8F3kQ",
    "nothing": "",
}


@pytest.mark.parametrize("response_id", UNGUESSABLE.values(), ids=UNGUESSABLE.keys())
def test_what_providers_make_at_random_is_a_call_whoever_is_named(response_id: str) -> None:
    assert is_unguessable(response_id)
    keys = {key_of_response(name, response_id) for name in ("openai", "openrouter", "ollama", "whoever")}
    assert keys == {f"*:{response_id}"}


@pytest.mark.parametrize("response_id", GUESSABLE.values(), ids=GUESSABLE.keys())
def test_what_is_counted_dated_or_said_needs_its_provider(response_id: str) -> None:
    assert not is_unguessable(response_id)
    if response_id:
        assert key_of_response("groq", response_id) == f"groq:{response_id}"
        assert key_of_response("azure", response_id) == key_of_response("openai", response_id)
        assert key_of_response("ollama", response_id) is None


FORMS: dict[str, Callable[[random.Random], str]] = {
    "uuid": lambda r: "-".join("".join(r.choices("0123456789abcdef", k=n)) for n in (8, 4, 4, 4, 12)),
    "32 hexadecimal digits": lambda r: "".join(r.choices("0123456789abcdef", k=32)),
    "openrouter": lambda r: f"gen-1770000000-{''.join(r.choices(LETTERS, k=20))}",
    "anthropic": lambda r: f"msg_01{''.join(r.choices(LETTERS, k=22))}",
    "google": lambda r: "".join(r.choices(LETTERS + "-_", k=22)),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_of_random_ids_nearly_all_are_known_for_such(form: Callable[[random.Random], str]) -> None:
    made = random.Random(1)
    assert sum(not is_unguessable(form(made)) for _ in range(10_000)) < 25


@pytest.mark.parametrize("response_id", ["é" * 40, "\ud800" * 40, "💸" * 40])
def test_an_id_of_any_characters_is_looked_at_without_a_mistake(response_id: str) -> None:
    assert not is_unguessable(response_id)


def test_a_stored_call_keeps_the_key_that_its_id_made_before() -> None:
    key = "*:" + UNGUESSABLE["openrouter"]
    before = key_with_provider("openai", UNGUESSABLE["openrouter"])
    assert before is not None
    assert key_to_keep(key, {before}) == before
    assert key_to_keep(key, {before, key}) == key
    assert key_to_keep(key, {"1" * 32 + ":" + "2" * 16}) == key
    assert key_to_keep("openai:r1", {"groq:r1"}) == "openai:r1"


def test_a_stored_call_keeps_the_key_of_an_id_where_its_reports_have_only_spans_to_tell() -> None:
    span, key = "1" * 32 + ":" + "2" * 16, "*:" + UNGUESSABLE["groq"]
    assert key_to_keep(span, {key}) == key
    assert key_to_keep("*:" + UNGUESSABLE["openai chat"], {key}) == "*:" + UNGUESSABLE["openai chat"]
