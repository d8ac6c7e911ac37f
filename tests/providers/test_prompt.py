"""A prompt is measured once, when it is asked for, and keeps no body beyond that."""

from __future__ import annotations

import weakref
from collections import UserDict
from collections.abc import Callable
from typing import Any

import pytest
from outlay.providers.prompt import Prompt


class Body(UserDict[str, Any]):
    """A body that tells when nobody holds it any more."""


def measure(prompt: Prompt) -> None:
    assert prompt.characters == 5


@pytest.mark.parametrize("done", [measure, Prompt.let_go])
def test_the_body_is_held_until_it_was_measured_or_let_go(done: Callable[[Prompt], None]) -> None:
    body = Body(messages=[{"content": "hello"}])
    held, prompt = weakref.ref(body), Prompt(body)
    del body
    assert held() is not None
    done(prompt)
    assert held() is None


def test_what_was_measured_stays_known() -> None:
    prompt = Prompt({"messages": [{"content": "hello"}]})
    measure(prompt)
    prompt.let_go()
    measure(prompt)
