"""Worst cases once calls have shown what they come to."""

from __future__ import annotations

from typing import Any

from outlay.budgets.ceilings import ceiling_of
from outlay.budgets.estimate import Estimator
from outlay.model import Cost, CostStatus, Usage

from tests.budgets.requests import ENVELOPE, user, worst


def test_a_tier_a_project_may_be_set_to_is_reckoned_with_until_calls_show_otherwise(estimator: Estimator) -> None:
    def output(**more: Any) -> int:
        found = worst(estimator, "openai", model="tiered", messages=user("hi"), **more)
        assert found.nano_usd is not None
        return found.nano_usd - found.read * 1_000

    assert output() == 100 * 25_000
    assert output(service_tier="default") == 100 * 10_000
    assert output(service_tier="priority") == 100 * 25_000
    for _ in range(5):
        found = worst(estimator, "openai", model="tiered", messages=user("hi"))
        estimator.learn(found, cost(1), Usage({"input": 3, "output": 5}))
    assert output() == 100 * 10_000


def test_what_a_text_came_to_is_never_guessed_lower_again(estimator: Estimator) -> None:
    body = {"messages": user("abcd " * 200)}
    before = worst(estimator, **body)
    for used in (900, *[50] * 50):
        estimator.learn(worst(estimator, **body), cost(1), Usage({"input": used, "output": 5}))
    assert before.read < 900 <= worst(estimator, **body).read


def test_a_provider_whose_tokens_are_few_is_guessed_lower_but_a_third_above_its_text(estimator: Estimator) -> None:
    body = {"messages": user("abcd " * 200)}
    for _ in range(20):
        estimator.learn(worst(estimator, **body), cost(1), Usage({"input": 200, "output": 5}))
    assert worst(estimator, **body).read == int(257.5 * 1.35) + ENVELOPE


def test_a_call_dearer_than_its_worst_case_raises_the_next_one(estimator: Estimator) -> None:
    first = worst(estimator, messages=user("hi"))
    assert first.nano_usd is not None
    estimator.learn(first, cost(2 * first.nano_usd), Usage({"input": 1, "output": 1}))
    second = worst(estimator, messages=user("hi"))
    assert second.nano_usd is not None
    assert 2 * first.nano_usd <= second.nano_usd <= 2 * first.nano_usd + 2


def test_calls_estimated_together_correct_the_next_one_once(estimator: Estimator) -> None:
    """A thousand calls are under way before the first is over: each shows the same, and shows it once."""
    together = [worst(estimator, messages=user("hi")) for _ in range(1_000)]
    read, nano_usd = together[0].read, together[0].nano_usd or 0
    for each in together:
        estimator.learn(each, Cost(nano_usd=3 * nano_usd, status=CostStatus.EXACT), Usage({"input": 2 * read}))
    found = worst(estimator, messages=user("hi"))
    assert together[0].experience.short == 2
    assert together[0].experience.dearer == 3
    assert found.read <= 2 * read
    assert (found.nano_usd or 0) <= 6 * nano_usd


def test_what_99_of_100_calls_stayed_under_is_asked_for_and_never_the_default(estimator: Estimator) -> None:
    body: dict[str, Any] = {"messages": user("hi"), "max_tokens": None}
    for output in (900, *[20] * 99, *[50] * 99):
        found = worst(estimator, **body)
        estimator.learn(found, cost(1), Usage({"input": 3, "output": output}))
    found = worst(estimator, **body)
    assert found.tokens == found.read + ceiling_of("m").output
    tokens, nano_usd = estimator.likely(found)
    assert tokens == found.read + 50
    assert nano_usd in (found.read * 1_000 + 50 * 10_000, found.read * 1_000 + 50 * 10_000 + 1)


def test_until_enough_calls_were_seen_the_likely_is_the_worst(estimator: Estimator) -> None:
    found = worst(estimator, messages=user("hi"), max_tokens=None)
    assert estimator.likely(found) == (found.tokens, found.nano_usd)


def cost(nano_usd: int) -> Cost:
    return Cost(nano_usd=nano_usd, status=CostStatus.EXACT)
