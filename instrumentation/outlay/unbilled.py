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
NOBODY: Final = "no request reached the provider"


def cost_without_answer(attempts: Iterable[Attempt], status: int | None) -> Cost:
    """Of a call that was refused, with that status in the end, or got no answer at all."""
    if not all(map(_is_unbilled, attempts)):
        return Cost.unpriced("an attempt got no answer: whether the provider billed it is unknown")
    refused = f"the provider answered {status}, which it does not bill"
    return Cost(nano_usd=0, status=CostStatus.EXACT, reason=refused if status else NOBODY)


def reached_nobody(error: str) -> bool:
    """Whether an attempt that ended with an error of this name, and without an answer, never reached the provider."""
    return error in _UNSENT


def is_free(cost: Cost) -> bool:
    """Whether the call is known to have cost nothing."""
    return cost.nano_usd == 0 and not cost.lines


def _is_unbilled(attempt: Attempt) -> bool:
    return reached_nobody(attempt.error or "") if attempt.status is None else attempt.status >= 400
