"""Which calls a response id tells apart: by itself where nobody could have guessed it, else together with its provider.

Gateways, and the SDKs that providers are called through, have several names for one provider, and instrumentations of
one call give different ones. An id made at random is its call's whoever is named: that two calls have one is not
to be expected in the lifetime of any ledger. One that is counted, dated or made of words is given again by the next
server, so of such only one provider's are told apart. Pure.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Final

REUSED_RESPONSE_IDS: Final = frozenset({"ollama"})
"""Who counts ids from a thousand, so that they tell nothing apart."""
_ISSUERS: Final = {"google-vertex": "google", "azure": "openai"}
"""Who gives the ids of those that are called through another's SDK: instrumentations of it name either."""
_ANYBODYS: Final = "*"
_SHORTEST: Final = 20
_FEWEST_CHANGES: Final = 5
_FILLED_UP: Final = "0" * 9
_KINDS: Final = bytes(
    ord("0") if 48 <= at <= 57 else ord("a") if 97 <= at <= 122 else ord("A") if 65 <= at <= 90 else ord("-")
    for at in range(256)
)


def is_unguessable(response_id: str) -> bool:
    """Whether it looks made at random: long, and its digits, small letters and capitals alternate.

    In a UUID or 20 random letters and digits the kind of character changes about 12 times. What is counted, dated or
    made of words changes seldom: changes at a `-`, `_` or `:` are not counted, and zeros in a row fill a number up. Of
    100,000 made up in each provider's form (UUIDs; OpenAI's, Anthropic's, Google's, OpenRouter's) at most 0.12% are
    taken for guessable; of 16 hexadecimal digits, which Crusoe has, 11%. Those are told apart as they were before.
    """
    if len(response_id) < _SHORTEST or _FILLED_UP in response_id:
        return False
    changes = response_id.encode("utf-8", "replace").translate(_KINDS).count
    seen = changes(b"a0") + changes(b"0a")
    if seen < _FEWEST_CHANGES:  # most have enough by then
        seen += changes(b"aA") + changes(b"Aa") + changes(b"A0") + changes(b"0A")
    return seen >= _FEWEST_CHANGES


@lru_cache(maxsize=4096)  # asked when a report is looked for, and when it is stored
def key_of_response(provider: str, response_id: str | None) -> str | None:
    """Two answers with one key are of one call. None where the id tells nothing, or there is none."""
    if not response_id:
        return None
    if is_unguessable(response_id):
        return f"{_ANYBODYS}:{response_id}"
    return key_with_provider(provider, response_id)


def key_with_provider(provider: str, response_id: str | None) -> str | None:
    """The key that guessable ids have, and that all had in databases of before: calls that are older than a day may
    still be stored under it."""
    if not response_id or provider in REUSED_RESPONSE_IDS:
        return None
    return f"{_ISSUERS.get(provider, provider)}:{response_id}"


def key_to_keep(key: str, stored: Collection[str]) -> str:
    """The key of a call that is stored under those. One that the same id made before stays, as today's may be another
    stored call's, of the time when the provider was a part of it; so does one that tells more than `key`: of the id
    that a gateway made up the key is all that is stored."""
    if key in stored:
        return key
    id_alone = key.removeprefix(_ANYBODYS) if key.startswith(f"{_ANYBODYS}:") else None
    kept = (
        each for each in sorted(stored) if (each.endswith(id_alone) if id_alone else each.startswith(f"{_ANYBODYS}:"))
    )
    return next(kept, key)
