"""What a call costs that brought no counts back: nothing, where no attempt of it can have been billed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from outlay.model import Attempt, Cost, CostStatus

_UNSENT: Final = frozenset(
    {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ProxyError"}
    | {"EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"}
    | {"ClientConnectorError", "ClientConnectorDNSError", "DefaultCredentialsError", "RefreshError"}
)
"""Errors of httpx, of botocore, of aiohttp and of Google's credentials that mean that no request reached anybody."""


def cost_without_answer(attempts: Iterable[Attempt], status: int | None) -> Cost:
    """Of a call that was refused, with that status in the end, or got no answer at all."""
    if not all(map(_is_unbilled, attempts)):
        return Cost.unpriced("an attempt got no answer: whether the provider billed it is unknown")
    refused = f"the provider answered {status}, which it does not bill"
    return Cost(nano_usd=0, status=CostStatus.EXACT, reason=refused if status else "no request reached the provider")


def is_free(cost: Cost) -> bool:
    """Whether the call is known to have cost nothing."""
    return cost.nano_usd == 0 and not cost.lines


def _is_unbilled(attempt: Attempt) -> bool:
    return attempt.error in _UNSENT if attempt.status is None else attempt.status >= 400
