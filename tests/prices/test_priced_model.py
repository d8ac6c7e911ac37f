"""Which of the two names of a model, the one served or the one asked for, its price is looked up by."""

from __future__ import annotations

import pytest
from outlay.prices.match import priced_model


@pytest.mark.parametrize(
    ("served", "requested", "priced"),
    [
        ("gpt-4.1-2025-04-14", "gpt-4.1", "gpt-4.1-2025-04-14"),
        (None, "gpt-4.1", "gpt-4.1"),
        ("gpt-4.1", None, "gpt-4.1"),
        (None, None, None),
        ("claude-opus-4-8", "claude-sonnet-4-6", "claude-opus-4-8"),
        ("claude-opus-4-8", "global.anthropic.claude-opus-4-8", "global.anthropic.claude-opus-4-8"),
        ("claude-opus-4-8", "arn:aws:bedrock:us-east-1:0:application-inference-profile/x", "claude-opus-4-8"),
        ("claude-opus-4-8", "us.anthropic.claude-sonnet-4-6", "claude-opus-4-8"),
    ],
)
def test_the_served_name_counts_unless_the_profile_that_was_asked_for_holds_it(
    served: str | None, requested: str | None, priced: str | None
) -> None:
    assert priced_model(served, requested) == priced
