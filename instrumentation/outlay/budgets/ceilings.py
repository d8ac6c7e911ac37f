"""The most a model reads and writes in one call: what bounds a request that sets no bound itself.

Taken from the providers' own model pages as of November 2026 (platform.openai.com/docs/models, docs.claude.com
"models overview", ai.google.dev/gemini-api/docs/models, docs.x.ai, docs.mistral.ai, api-docs.deepseek.com,
docs.cohere.com, docs.aws.amazon.com/nova); `tests/budgets/test_ceilings.py` holds them against a public table. Where a
family's limits differ the larger one stands: too much is set aside for a moment, too little would pass a limit. A name
nobody listed gets the largest of the common ones.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple


class Ceiling(NamedTuple):
    """Tokens: all a call can read and write together, what it can write, and what one picture comes to at most."""

    window: int
    output: int
    image: int


_M: Final = 1_048_576
_LONGEST: Final = 262_144
"""What no model is known to write in one call, where its provider publishes nothing but a window."""
_UNKNOWN: Final = Ceiling(_M, _LONGEST, 5_000)
_FAMILIES: Final[tuple[tuple[str, Ceiling], ...]] = (
    # OpenAI. Pictures: tiles of 512 pixels (gpt-4o-mini charges 33 times the tokens), or patches of 32.
    (r"gpt-4o(?:-mini)?-transcribe|whisper", Ceiling(16_000, 2_000, 0)),
    (r"text-embedding|embed", Ceiling(32_768, 0, 5_000)),
    (r"gpt-image|chatgpt-image|dall-e", Ceiling(65_536, 16_384, 8_192)),
    (r"gpt-4o-mini", Ceiling(131_072, 16_384, 48_169)),
    (r"gpt-5(?:[.-]\d)?-chat", Ceiling(400_000, 65_536, 2_489)),
    (r"gpt-4o|chatgpt-4o|gpt-4\.5|gpt-audio|gpt-realtime", Ceiling(131_072, 16_384, 1_445)),
    (r"gpt-4\.1", Ceiling(1_047_576, 32_768, 3_779)),
    (r"gpt-4-(?:turbo|1106|0125|vision)", Ceiling(128_000, 4_096, 1_445)),
    (r"gpt-4-32k", Ceiling(32_768, 32_768, 0)),
    (r"gpt-4(?!\d|\.)", Ceiling(128_000, 16_384, 1_445)),
    (r"gpt-3\.5", Ceiling(16_385, 8_192, 0)),
    (r"(?:^|/)o1-preview", Ceiling(128_000, 32_768, 0)),
    (r"(?:^|/)o1-mini", Ceiling(128_000, 65_536, 0)),
    (r"(?:^|/)o[134](?:-|$)|(?:^|/)codex-mini", Ceiling(200_000, 100_000, 2_642)),
    (r"gpt-5-pro", Ceiling(400_000, 272_000, 2_489)),
    (r"gpt-5(?:[.-][1-3])?(?:-[a-z]|-20|$)", Ceiling(400_000, 128_000, 2_489)),
    (r"gpt-(?:5[.-]\d|[6-9])", Ceiling(1_050_000, 131_072, 16_200)),
    (r"gpt-oss", Ceiling(131_072, 131_072, 0)),
    (r"gemini-[\d.]+-computer-use", Ceiling(128_000, 65_536, 5_000)),
    (r"computer-use-preview", Ceiling(8_192, 1_024, 1_445)),
    # Anthropic, wherever it is sold. From Opus 4.7 on pictures are read at up to 4,784 tokens, before at 1,600.
    (r"claude-(?:v?[12](?!\d)|instant)", Ceiling(200_000, 8_192, 0)),
    (r"claude-3-(?:opus|sonnet|haiku)", Ceiling(200_000, 4_096, 1_600)),
    (r"claude-3[-.]5", Ceiling(200_000, 8_192, 1_600)),
    (r"claude-3[-.]7", Ceiling(200_000, 128_000, 1_600)),
    (r"claude-(?:opus-4(?:-1)?(?:-2|@|$|:)|4-opus|opus-4\.1)", Ceiling(200_000, 32_000, 1_600)),
    (r"claude-(?:sonnet-4|haiku-4|4-sonnet|opus-4[-.]5)", Ceiling(_M, 128_000, 1_600)),
    (r"claude", Ceiling(_M, 131_072, 5_000)),
    # Google.
    (r"gemini-1[.]5", Ceiling(2 * _M, 8_192, 5_000)),
    (r"gemini-[\d.]+-(?:flash|pro)(?:-lite)?-image", Ceiling(131_072, 65_536, 5_000)),
    (r"gemini-(?:[123]|exp|pro|flash)", Ceiling(_M, 65_536, 5_000)),
    (r"gemini", Ceiling(_M, _M, 5_000)),
    (r"gemma", Ceiling(262_144, 262_144, 5_000)),
    # The others. Those of xAI, Mistral and most open models publish a window and no limit of output.
    (r"deepseek-(?:v[4-9]|flash|pro)", Ceiling(_M, 393_216, 0)),
    (r"deepseek", Ceiling(163_840, 163_840, 0)),
    (r"grok", Ceiling(2 * _M, _LONGEST, 5_000)),
    (r"sonar", Ceiling(200_000, 128_000, 5_000)),
    (r"command", Ceiling(262_144, 65_536, 5_000)),
    (r"nova-2", Ceiling(1_000_000, 65_536, 5_000)),
    (r"nova-(?:micro|lite|pro|premier)", Ceiling(1_000_000, 32_000, 5_000)),
    (r"titan", Ceiling(42_000, 32_000, 0)),
)  # fmt: skip
_COMPILED: Final = tuple((re.compile(pattern), ceiling) for pattern, ceiling in _FAMILIES)


@lru_cache(maxsize=1_024)
def ceiling_of(model: str | None) -> Ceiling:
    """The ceiling of a model by whatever name a provider sells it under."""
    name = (model or "").lower()
    return next((ceiling for pattern, ceiling in _COMPILED if pattern.search(name)), _UNKNOWN)
