"""Which entry of a price list a model's name means.

A name is tried as it stands, then without the clothes platforms put on it (`models/`, an ARN, `openai/`), against the
names a list gives exactly before its wider rules. A name that only a wider rule reaches, and that has more in it than
a date or a version, is somebody's family but perhaps not its price: that is said, never silent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

Rule = tuple[str, str] | tuple[str, tuple["Rule", ...]]
"""An operator and its text: `=` equals, `^` starts with, `$` ends with, `*` contains, `~` regular expression, and `&`
with rules that must all hold."""

_HARMLESS_AFTER: Final = re.compile(
    r"(?:[-@:.]?(?:\d{4}-?\d{2}-?\d{2}|\d{2}-\d{2}|\d{3,4}|latest|preview|exp|instruct|default|v\d+(?:[.:]\d+)*|\d))*"
)
_HARMLESS_BEFORE: Final = re.compile(r"(?:.*[/.:])?")
_DATE: Final = re.compile(r"[-@](?:\d{4}-\d{2}-\d{2}|\d{8})$")
_COMPACT_DATE: Final = re.compile(r"-(\d{4})(\d{2})(\d{2})$")
_ARN: Final = re.compile(r"^arn:[^/]*:(?:inference-profile|foundation-model)/(.+)$")
_OWNER: Final = re.compile(
    r"^(?:openai|azure(?:_ai|_openai)?|anthropic|bedrock|google|gemini|vertex_ai|vertex|mistral(?:ai)?|x-?ai|deepseek"
    r"|cohere|groq|perplexity|together(?:_ai|computer)?|fireworks_ai|cerebras|openrouter|voyage|moonshotai|zai)/(.+)$"
)
"""What gateways put before a model's name to say whose it is."""
_PATH: Final = re.compile(r"^(?:projects/.*/)?(?:publishers/[^/]+/(?:models/)?|models/)(.+)$")


def names_of(model: str) -> Iterator[str]:
    """The names to try for a model, most literal first."""
    name = model.strip().lower()
    seen = [name]
    for pattern in (_ARN, _PATH, _OWNER):
        if found := pattern.match(name):
            seen.append(found[1])
    seen += [_COMPACT_DATE.sub(r"-\1-\2-\3", each) for each in seen]
    return iter(dict.fromkeys(seen))


def without_date(name: str) -> str | None:
    """`gpt-4o-2031-01-01` -> `gpt-4o`; None where there is no date to drop."""
    family = _DATE.sub("", name)
    return family if family != name else None


def holds(rule: Rule, name: str) -> bool:
    operator, text = rule
    if isinstance(text, tuple):
        return all(holds(part, name) for part in text)
    match operator:
        case "=":
            return name == text
        case "^":
            return name.startswith(text)
        case "$":
            return name.endswith(text)
        case "*":
            return text in name
        case _:
            return re.search(text, name) is not None


def is_certain(rules: Sequence[Rule], name: str) -> bool:
    """Whether a name that these rules reach is the model itself, and not only one of its family."""
    return any(holds(rule, name) and _leaves_nothing(rule, name) for rule in rules)


def _leaves_nothing(rule: Rule, name: str) -> bool:
    operator, text = rule
    if isinstance(text, tuple):
        return all(_leaves_nothing(part, name) for part in text)
    if operator in "=~" or text.startswith("ft:"):
        return True
    before, _, after = name.partition(text)
    return bool(_HARMLESS_BEFORE.fullmatch(before) and _HARMLESS_AFTER.fullmatch(after))


def priced_model(served: str | None, requested: str | None) -> str | None:
    """The name a price is looked up by: what was served, else what was asked for.

    Claude on Bedrock answers with its bare name, and what it costs depends on the inference profile it was asked
    through (`global.anthropic.claude-...`): a requested name that holds the one served says more.
    """
    if served and requested and "anthropic." in requested and served in requested:
        return requested
    return served or requested
