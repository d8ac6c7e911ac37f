"""Ceilings of models: never below what a public table lists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from outlay.budgets.ceilings import ceiling_of

PUBLISHED = {
    "anthropic", "azure", "cohere", "cohere_chat", "deepseek", "gemini", "openai", "perplexity",
    "text-completion-openai", "vertex_ai-anthropic_models", "vertex_ai-language-models",
}  # fmt: skip
"""Providers that publish how much a model writes; for others tables repeat the window."""
OLDER = {"gemini/gemini-exp-1206"}
"""A preview of two years ago, with the window of 1.5."""


def test_no_ceiling_is_below_what_is_published(shared: Path) -> None:
    tables = sorted((shared / "prices").glob("litellm-*.json"))
    if not tables:
        pytest.skip("there is no public price table in the reference data")
    below = []
    for name, listed in json.loads(tables[-1].read_text("utf-8")).items():
        if listed.get("litellm_provider") not in PUBLISHED or listed.get("mode") not in (
            "chat",
            "completion",
            "responses",
        ):
            continue
        ceiling, most, window = ceiling_of(name), listed.get("max_output_tokens"), listed.get("max_input_tokens")
        if (isinstance(most, int) and most > ceiling.output) or (isinstance(window, int) and window > ceiling.window):
            below.append((name, most, window))
    assert {name for name, *_ in below} <= OLDER


@pytest.mark.parametrize(
    ("model", "output"),
    [
        ("gpt-4o-2024-11-20", 16_384),
        ("openai/gpt-4.1-mini", 32_768),
        ("o3-mini", 100_000),
        ("gpt-5.4", 131_072),
        ("us.anthropic.claude-3-5-haiku-20241022-v1:0", 8_192),
        ("claude-opus-4-1@20250805", 32_000),
        ("claude-opus-4-8", 131_072),
        ("gemini-2.5-flash", 65_536),
        ("a-model-nobody-knows", 262_144),
        (None, 262_144),
    ],
)
def test_a_model_is_known_by_whatever_name_it_is_sold_under(model: str | None, output: int) -> None:
    assert ceiling_of(model).output == output
