"""What goes wrong inside Outlay stays inside Outlay: said once, counted always."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import openai
import outlay
import pytest
from outlay import guard
from outlay.guard import shielded
from outlay.prices import PriceBook

from tests.conftest import Provider
from tests.instrumentation.doubles import Receiver


@pytest.fixture(autouse=True)
def lenient() -> Iterator[None]:
    guard.set_strict(False)
    guard.swallowed.clear()
    yield
    guard.swallowed.clear()


@shielded
def fail(error: Exception) -> str:
    raise error


def test_an_error_of_ours_is_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "outlay"):
        assert [fail(ValueError("a")), fail(ValueError("b")), fail(KeyError("c"))] == [None, None, None]
    assert dict(guard.swallowed) == {"fail: ValueError": 2, "fail: KeyError": 1}
    assert len(caplog.records) == 2
    assert all("the application is not affected" in record.message for record in caplog.records)


def test_what_fails_may_be_a_partial_which_has_no_name(caplog: pytest.LogCaptureFixture) -> None:
    """As a patch is, that fails while the application imports an SDK."""
    assert shielded(partial(int, "no number"))() is None
    (said,) = caplog.messages
    assert said.startswith("Outlay failed in int;")


def test_a_spent_budget_passes() -> None:
    spent = outlay.BudgetExceeded(
        "spent", budget="b", scope={}, limit_usd=None, spent_usd=None, reserved_usd=None, resets_at=None
    )
    with pytest.raises(outlay.BudgetExceeded) as raised:
        fail(spent)
    assert raised.value is spent


def test_in_tests_of_ours_every_error_passes() -> None:
    guard.set_strict(True)
    with pytest.raises(ValueError, match="a"):
        fail(ValueError("a"))


@pytest.mark.parametrize("broken", ["cost", "find"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_price_book_that_breaks_does_not_break_the_call(
    broken: str, streamed: bool, fake_provider: Provider, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boom(*args: Any, **kwargs: Any) -> Any:
        raise ArithmeticError("the book fell apart")

    monkeypatch.setattr(PriceBook, broken, boom)
    outlay.instrument(endpoint=receiver.url)
    question: Any = [{"role": "user", "content": "Which rivers end in the Black Sea?"}]
    with openai.OpenAI(api_key="none", base_url=fake_provider.openai) as client:
        answer: Any = client.chat.completions.create(model="gpt-4.1", messages=question, stream=streamed)
        assert list(answer) if streamed else answer.choices
    call = receiver.only_call()
    outlay.uninstrument()
    assert call["gen_ai.usage.input_tokens"] > 0
    assert call["outlay.cost.status"] == "unpriced"
    assert sum(guard.swallowed.values()) == 1
