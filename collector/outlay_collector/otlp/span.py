"""What both encodings decode to, and what about a body can be refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from string import digits
from typing import Any, Final, TypeVar

ERROR: Final = 2
"""`status_code` of a span that failed."""

EXCEPTION: Final = ("exception.type", "exception.message")
"""What of an exception event is read."""
_LONGEST_SCOPE: Final = 256
_PRINTED: Final = re.compile(r"(\w+(?:Error|Exception))\(")
_ANSWERED: Final = re.compile(r"(?:^|: |\()['\"]?Error code: ([45][0-9]{2})(?: - |['\"]?\)*$)")
"""What OpenAI's and Anthropic's SDKs say of an answer that is an error, alone or within a framework's words."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The attributes some dialect reads: by name, and families by prefix.

    The others are never looked at: on a span that carries its prompt they are most of its bytes. `of_scope` has the
    scopes whose spans one dialect alone reads, and what that one reads. `events` has the span events that some dialect
    reads, by their names without the number some end in, and what is read of each.
    """

    names: frozenset[str]
    prefixes: tuple[str, ...]
    of_scope: Mapping[str, Wanted] = field(default_factory=dict)
    events: Mapping[str, Wanted] = field(default_factory=dict)

    def within(self, scope_name: str) -> Wanted:
        """What is wanted of the spans of a scope."""
        return self.of_scope.get(scope_name, self)

    def of_event(self, name: str) -> Wanted | None:
        """What is wanted of an event of that name, None where nothing is."""
        return self.events.get(name.rstrip(digits))


class Shape:
    """Under which names a span says something. Spans of one instrumentation have few shapes between them, so that what
    follows from the names alone is worked out once for each."""

    __slots__ = ("_known", "names")

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = frozenset(names)
        self._known: dict[Callable[[frozenset[str]], Any], Any] = {}

    def known(self, work_out: Callable[[frozenset[str]], T]) -> T:
        """What a function says of the names, which must follow from them alone."""
        found: T | None = self._known.get(work_out)
        if found is None:
            found = self._known[work_out] = work_out(self.names)
        return found


_shape_of: Final = lru_cache(maxsize=4096)(Shape)


@dataclass(slots=True)
class Attributes:
    """The wanted ones of a span or resource: `named`, and those of a family, few of which any span has. One without a
    value is not there."""

    named: dict[str, Any] = field(default_factory=dict)
    families: dict[str, Any] = field(default_factory=dict)
    shape: Shape = field(init=False, repr=False, compare=False)
    """Of `named`, which is not added to any more."""

    def __post_init__(self) -> None:
        self.shape = _shape_of(tuple(self.named))


def exception_type(said: Mapping[str, Any]) -> str | None:
    """The type an exception event says. LangSmith has each error in an `Exception` of its own, printed into its
    message; Vercel's AI SDK has one type for an answer and for none."""
    kind, message = (said.get(name) for name in EXCEPTION)
    if kind == "Exception" and isinstance(message, str) and (printed := _PRINTED.match(message)):
        return printed[1]
    if kind == "AI_APICallError" and isinstance(message, str) and message.startswith("Cannot connect"):
        return "APIConnectionError"
    return str(kind) if kind else None


def exception_status(said: Mapping[str, Any]) -> int | None:
    """The HTTP status an exception event tells of, where a framework wraps the SDK's error in one type of its own for
    an answer and for none (Agent Framework's `ChatClientException`)."""
    message = said.get(EXCEPTION[1])
    answered = _ANSWERED.search(message) if isinstance(message, str) else None
    return int(answered[1]) if answered else None


class BadBody(Exception):
    """A body that is no export request, with what is wrong with it. Sending it again will not help."""


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What all spans of one scope in one resource share: one object for all of them, so that what is worked out of it
    can be kept by it."""

    resource: Attributes
    scope_name: str
    scope_version: str
    scope: str = field(init=False)
    """Both, as reports are marked with them."""

    def __post_init__(self) -> None:
        scope = f"{self.scope_name}@{self.scope_version}" if self.scope_version else self.scope_name
        object.__setattr__(self, "scope", scope[:_LONGEST_SCOPE].replace("\0", ""))


@dataclass(frozen=True, slots=True)
class Event:
    """A wanted event of a span, when it happened (nanoseconds, 0 where it does not say) and its wanted attributes."""

    name: str
    at_ns: int
    attributes: Attributes


@dataclass(slots=True)
class Span:
    """One span: ids in lower-case hex, times in nanoseconds, the wanted attributes and events, the latter as they came.

    `exception_type` is that of the last exception event, `exception_status` the HTTP status it tells of; None where
    there is none.
    """

    origin: Origin
    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: int
    started_at_ns: int
    ended_at_ns: int
    status_code: int
    attributes: Attributes
    exception_type: str | None = None
    exception_status: int | None = None
    events: tuple[Event, ...] = ()


@dataclass(slots=True)
class Decoded:
    """A body's spans, and those that could not be taken with the reason of the last."""

    spans: list[Span] = field(default_factory=list)
    rejected: int = 0
    reason: str = ""

    def reject(self, reason: str) -> None:
        self.rejected += 1
        self.reason = reason
