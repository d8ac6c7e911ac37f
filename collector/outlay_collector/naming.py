"""Whose call it was, where its reports name different providers: who of them knows best.

Forty providers are called through OpenAI's SDK, and whoever watches that SDK says `openai` of them all; a gateway, and
whoever watches the request itself, know where it went. What a call is priced by is its provider's, so the bill is of
one that knows. Pure.
"""

from __future__ import annotations

from typing import Final

from outlay.model import Call, CostStatus
from outlay.providers.names import HOSTS, provider_of_host

_SAID_OF_ANYBODY: Final = "openai"
_WITH_AN_SDK: Final = frozenset({"anthropic", "cohere", "google", "mistral"})
"""Named after their SDK, which clouds that sell their models are called through too."""
_KNOWN: Final = frozenset(provider for _, provider in HOSTS) | {"bedrock"}


def doubt_of_provider(call: Call) -> tuple[bool, bool, int]:
    """How much there is to doubt in the provider it names; the least is to be believed.

    Before all, one that says what the provider charged has seen its answer, and one that names the host has seen where
    it came from. Then a cloud's or a gateway's name tells more than an SDK's, and `openai` the least, with what is
    nobody's name.
    """
    return call.cost.status is not CostStatus.PROVIDER_REPORTED, not _is_at_home(call), _vagueness(call.provider)


def _is_at_home(call: Call) -> bool:
    """Whether the host that was asked is known to be this provider's. Some say a whole URL."""
    host = (call.server_address or "").split("://", 1)[-1].split("/", 1)[0]
    return bool(host) and provider_of_host(host) == call.provider


def _vagueness(provider: str) -> int:
    if provider == "unknown":
        return 3
    if provider == _SAID_OF_ANYBODY or provider not in _KNOWN:
        return 2
    return 1 if provider in _WITH_AN_SDK else 0
