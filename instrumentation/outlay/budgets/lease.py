"""What a process and the collector say to each other about budgets.

A lease is a part of a budget lent to one process: an account with three totals that only grow. `granted` is the
collector's, `returned` and `settled` are the process's; what is outstanding is the first less the other two. Because
totals are said and not differences, any message may be lost, repeated or overtaken without harm: the process mints the
lease's id, and asks by saying how much it knows it was granted.

The same classes are the collector's request and response bodies. Amounts are nano-USD, tokens or calls, as the budget
counts; times are nanoseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

Message = TypeVar("Message")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """More, please. `need` is what the process must have beyond the `known` total, or it has to refuse a call; `want`,
    at least as much, is what would carry it for a while. `amount` is all that call takes: `need`, and what the process
    has in hand for it."""

    lease: str
    budget: str
    scope: list[str]
    known: int
    need: int
    want: int
    amount: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRequest:
    """`holder` names the process for people. `version` is that of the definitions it knows, None for none."""

    holder: str
    version: str | None = None
    asks: list[Ask] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The answer to one ask, and the budget as it stands.

    `granted` is the total; where it is not `known + need` or more, the ask was refused. `expires_in_s` counts from the
    moment the request was sent; 0 says that the lease is gone and a new one has to be opened. `leased` is what all
    processes hold, this one included. `ends_at_ns` is None for a rolling window. `share` is what is fair to have in
    hand unused, None from a collector that does not say.
    """

    lease: str
    budget: str
    scope: list[str]
    granted: int
    expires_in_s: float
    limit: int
    spent: int
    leased: int
    starts_at_ns: int
    ends_at_ns: int | None
    share: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseAnswer:
    """`budgets` are the definitions that block, None where the version the process knows is still right."""

    version: str
    budgets: list[dict[str, Any]] | None
    grants: list[Grant]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """One call's true cost to one budget. `id` makes it count once, the span lets its report count instead of it."""

    id: str
    lease: str
    amount: int
    at_ns: int
    trace_id: str | None = None
    span_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """A lease that is still in use, and the total it has handed back."""

    lease: str
    returned: int
    keep: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Calls of one kind that a budget held back, from `at_ns` on for about a second. `id` makes them count once.

    `avoided_nano_usd` is their worst case: what they would have cost at most. None where their model has no price.
    """

    id: str
    budget: str
    scope: list[str]
    reason: str
    provider: str
    model: str | None
    service: str | None
    feature: str | None
    user: str | None
    calls: int
    avoided_nano_usd: int | None
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRequest:
    holder: str
    settlements: list[Settlement] = field(default_factory=list)
    renewals: list[Renewal] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleAnswer:
    """`version` tells a process that definitions have changed. `expires_in_s` by lease; one that is gone is absent."""

    version: str
    expires_in_s: dict[str, float]


def encode(message: LeaseRequest | SettleRequest) -> dict[str, Any]:
    return asdict(message)


def read_lease_answer(body: Mapping[str, Any]) -> LeaseAnswer:
    """Keys this version does not know are passed over; a missing one raises TypeError or KeyError."""
    return LeaseAnswer(
        version=body["version"],
        budgets=body["budgets"],
        grants=[_read(Grant, grant) for grant in body["grants"]],
    )


def read_settle_answer(body: Mapping[str, Any]) -> SettleAnswer:
    return _read(SettleAnswer, body)


def _read(kind: type[Message], body: Mapping[str, Any]) -> Message:
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # every caller passes a dataclass
    return kind(**{key: value for key, value in body.items() if key in known})
