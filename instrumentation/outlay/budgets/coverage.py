"""Which budgets a call draws on, found anew only for a call unlike those before it.

Of a call only what some budget asks for is looked at: that is the key under which the answer is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

from outlay.budgets.account import Account
from outlay.budgets.budget import TAG_PREFIX, TRACE, Budget, Scope, dimensions_of
from outlay.model import Attribution

_REMEMBERED: Final = 2_048
_OF_THE_CALL: Final = frozenset({"provider", "operation", "model", TRACE})


class Coverage:
    """The budgets of one set of definitions, and what calls they cover. Safe to use from any thread."""

    def __init__(self, budgets: Iterable[Budget], account: Callable[[Budget, Scope], Account]) -> None:
        """`account` gives the account of a budget for a scope, the same one every time."""
        self._budgets = tuple(budgets)
        self._account = account
        asked = {name for budget in self._budgets for name in (*budget.match, *budget.per)}
        self.asks_for_trace = TRACE in asked
        self._tags = tuple(sorted(n.removeprefix(TAG_PREFIX) for n in asked if n.startswith(TAG_PREFIX)))
        said = sorted(name for name in asked - _OF_THE_CALL if not name.startswith(TAG_PREFIX))
        self._said: Callable[[Attribution], Any] | None = attrgetter(*said) if said else None
        self._known: dict[tuple[Any, ...], Sequence[Account]] = {}

    def of(
        self, provider: str, operation: str, model: str | None, attribution: Attribution, trace: str | None
    ) -> Sequence[Account]:
        """The accounts such a call draws on."""
        said = self._said(attribution) if self._said is not None else None
        tags = tuple(map(attribution.tags.get, self._tags)) if self._tags else None
        key = provider, operation, model, said, tags, trace
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known = {}
            call = dimensions_of(provider, operation, model, attribution, trace)
            scopes = ((budget, budget.scope_of(call)) for budget in self._budgets)
            known = self._known[key] = [self._account(budget, s) for budget, s in scopes if s is not None]
        return known
