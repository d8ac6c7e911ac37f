"""Echoes: spans of two instrumentations that tell of one call, neither of them directly inside the other.

Between a framework's span of a call and an SDK's span of the same call other spans may lie (of the application, of a
tool, of HTTP, of a proxy), kept or let go, come or yet to come; a framework that makes its spans in callbacks has them
beside the SDK's, or in a trace of their own where the application has none. What tells is what both say (one model,
counts that agree), that one began within the other and did not outlast it (`moments`), and where they stand (`paths`):
of two that are known to stand beside each other the outer is made in callbacks, or one is Outlay's, or they are two
calls. Of a stream whose span was over before it, and which counts nothing, its times tell. A call that a tool makes
within a call counts other tokens, asks another model, or has another response id, and is a call of its own; so is one
that the same instrumentation tells of twice. Pure; which calls are looked at is `store.pairing`'s.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain, combinations
from typing import Final, Protocol

from outlay.model import Usage

from outlay_collector.billing import CHATS, Report, Source, may_be_of_one_service
from outlay_collector.model_names import without_edition
from outlay_collector.moments import AT_ONCE_NS, SLACK_NS, lies_within, tell_of_one_request, told_after_ns
from outlay_collector.paths import Parents, Paths, Place, SpanKey
from outlay_collector.response_ids import REUSED_RESPONSE_IDS

_MOST_ALIKE: Final = 256
Pair = tuple[Report, Report]


class Joined(Protocol):
    """What reports are joined into: those of one call have one root."""

    def root(self) -> object: ...


_FRAMEWORKS: Final = (
    *("agno", "autogen", "crewai", "dspy", "haystack", "langchain", "litellm", "llama_index", "llamaindex"),
    *("openai_agents", "pydantic-ai", "pydantic_ai", "semantic_kernel", "smolagents", "strands"),
)
"""In the scopes of frameworks: the span of a call is around one request, which something beneath them makes."""
_CALLBACKS: Final = (*_FRAMEWORKS, "langfuse", "langsmith", "mlflow")
"""In the scopes of those that may make spans apart from the application's: in callbacks, by a tracer of their own."""
_TELL_OF_ALL: Final = frozenset({Source.OUTLAY, Source.SDK})
_UNCOUNTED: Final = "uncounted"


def is_apart(report: Report) -> bool:
    """Whether it may stand in another trace than the call it repeats, and share no id with it."""
    return not report.call.response_id and (report.parent_span_id is None or makes_spans_apart(report.scope))


@lru_cache(maxsize=256)
def makes_spans_apart(scope: str) -> bool:
    """Whether this instrumentation's spans may stand in another trace than the application's."""
    return any(name in scope.lower() for name in _CALLBACKS)


def is_echo(outer: Report, inner: Report) -> bool:
    """Whether `outer` repeats what `inner` tells of."""
    a, b = outer.call, inner.call
    if outer.scope == inner.scope or Source.RECORD in (outer.source, inner.source):
        return False
    with_ids = a.response_id and b.response_id
    if with_ids and (a.response_id != b.response_id or not REUSED_RESPONSE_IDS.isdisjoint((a.provider, b.provider))):
        return False
    if not lies_within(a, b) and not _tell_of_one_request(outer, inner):
        return False
    if outer.trace_id != inner.trace_id and not _in_traces_of_their_own(outer, inner):
        return False
    if with_ids:
        return True
    if a.operation != b.operation and not {a.operation, b.operation} <= CHATS:
        return False
    return not _models(outer).isdisjoint(_models(inner)) and _say_the_same(outer, inner)


def pairs(reports: Iterable[Report], parents: Parents, groups: Mapping[SpanKey, Joined]) -> list[Pair]:
    """Those that say the same, an outer and an inner report each; whether they are one is told by where they stand.

    Of reports that are one call already, as `groups` say, only those are given for which `traces_to_look_up` asks.
    """
    listed = list(reports)
    alike = (
        pair
        for some in _alike(listed)
        for one, other in combinations(sorted(some, key=_length), 2)
        for pair in ((other, one), (one, other))
    )
    roots = {id(r): groups[r.trace_id, r.span_id].root() for r in listed}
    paths = Paths(parents)
    return [
        (outer, inner)
        for outer, inner in chain(alike, _begun_at_once(listed), _around_own(listed))
        if (roots[id(outer)] is not roots[id(inner)] or _is_unknown(outer, inner, paths)) and is_echo(outer, inner)
    ]


def traces_to_look_up(said: Iterable[Pair], parents: Parents) -> set[str]:
    """The traces of which more has to be known, to know where the two of a pair stand."""
    paths = Paths(parents)
    return {outer.trace_id for outer, inner in said if _is_unknown(outer, inner, paths)}


def _is_unknown(outer: Report, inner: Report, paths: Paths) -> bool:
    """Whether it makes a difference what more is known of how they stand."""
    return not makes_spans_apart(outer.scope) and _place(outer, inner, paths) is Place.UNKNOWN


def echoes(said: Iterable[Pair], parents: Parents) -> Iterator[Pair]:
    """Of `pairs` those that may be one call: the nearest to each other first, in their traces and in time."""
    paths = Paths(parents)
    placed = [(_place(*pair, paths), pair) for pair in said]
    fit = [(place, *pair) for place, pair in placed if _may_stand(place, *pair)]
    for _, outer, inner in sorted(fit, key=_doubt):
        yield outer, inner


def saw_only_the_beginning(report: Report) -> bool:
    """Whether it may be of a stream that its span was over before, so that it counts nothing."""
    call = report.call
    if call.usage is not None or call.response_id is not None or call.error_type is not None:
        return False
    return makes_spans_apart(report.scope)


def saw_a_stream(report: Report) -> bool:
    """Whether it is Outlay's of a stream, which it follows to its end."""
    return report.source is Source.OUTLAY and report.call.streamed


def counts_of(usage: Usage) -> tuple[tuple[str, int | None], ...]:
    """What the usage of one of them must have in common with the other's: how much came out, with and without the
    reasoning, or what went in where nothing comes out."""
    totals = usage.totals()
    made, reasoning = totals.output_tokens, totals.reasoning_tokens
    if not made:
        return (("in", totals.input_tokens),)
    return (("out", made), ("out", made - reasoning)) if reasoning else (("out", made),)


def _marks(report: Report) -> set[tuple[str, object]]:
    """What one of them must have in common with the other, to be looked for by: a response id, what was counted, or
    that it failed."""
    call = report.call
    found: set[tuple[str, object]] = {("id", call.response_id)} if call.response_id else set()
    if call.usage is not None:
        found.update(counts_of(call.usage))
    elif call.error_type:
        found.add(("failed", None))
    return found


def _begun_at_once(listed: list[Report]) -> Iterator[Pair]:
    """What counts nothing, with each stream that Outlay saw begin when it did: they have no mark in common."""
    begun = [report for report in listed if saw_only_the_beginning(report)]
    streams = sorted(filter(saw_a_stream, listed), key=_started_at_ns) if begun else []
    for outer in begun:
        at_ns = outer.call.started_at_ns
        first = bisect_left(streams, at_ns - SLACK_NS, key=_started_at_ns)
        last = bisect_right(streams, at_ns + AT_ONCE_NS, key=_started_at_ns)
        yield from ((outer, inner) for inner in streams[first:last])


def _around_own(listed: list[Report]) -> Iterator[Pair]:
    """What an SDK says itself, with each report around it, where one of the two counts nothing: nor do they then have a
    mark in common."""
    own = sorted((r for r in listed if r.source is Source.SDK and not r.call.response_id), key=_started_at_ns)
    for outer in listed if own else ():
        if outer.source > Source.SDK:
            first = bisect_left(own, outer.call.started_at_ns - SLACK_NS, key=_started_at_ns)
            last = bisect_right(own, outer.call.ended_at_ns, key=_started_at_ns)
            some = own[first:last]
            yield from ((outer, inner) for inner in some if outer.call.usage is None or inner.call.usage is None)


def _started_at_ns(report: Report) -> int:
    return report.call.started_at_ns


def _alike(listed: list[Report]) -> Iterator[list[Report]]:
    """Reports by their marks, in the order they began, as many at once as can be compared with one another."""
    uncounted = {r.trace_id for r in listed if r.call.usage is None and _is_frameworks(r.scope)}
    by_mark: defaultdict[tuple[str, object], list[Report]] = defaultdict(list)
    for report in listed:
        for mark in _marks(report):
            by_mark[mark].append(report)
        if report.trace_id in uncounted:
            by_mark[_UNCOUNTED, report.trace_id].append(report)
    for alike in by_mark.values():
        if len({report.scope for report in alike}) > 1:
            alike.sort(key=lambda report: (report.call.started_at_ns, report.span_id))
            yield from (alike[at : at + _MOST_ALIKE] for at in range(0, len(alike), _MOST_ALIKE))


def _doubt(placed: tuple[Place, Report, Report]) -> tuple[object, ...]:
    """Of one trace before two, counted before uncounted, the nearest to each other first, of those by their times."""
    place, outer, inner = placed
    uncounted = outer.call.usage is None or inner.call.usage is None
    apart = place is Place.APART
    nearest_ns = told_after_ns(outer.call, inner.call) if _tell_of_one_request(outer, inner) else 0
    return apart, uncounted, place, nearest_ns, _length(outer), _length(inner)


def _place(outer: Report, inner: Report, paths: Paths) -> Place:
    return paths.place_of((outer.trace_id, outer.span_id), (inner.trace_id, inner.span_id))


def _may_stand(place: Place, outer: Report, inner: Report) -> bool:
    """Whether two that say the same may be one call, standing so."""
    a, b = outer.call, inner.call
    if place is Place.ABOVE or (a.response_id and b.response_id):
        return True
    around = (a.started_at_ns, -a.ended_at_ns) < (b.started_at_ns, -b.ended_at_ns)
    return around and (place is not Place.BESIDE or makes_spans_apart(outer.scope) or _is_told_by_all(outer, inner))


def _is_told_by_all(outer: Report, inner: Report) -> bool:
    """Outlay tells of all calls its process makes, an SDK that has spans of its own of all that are made with it: what
    another says of one beside it, they have said too."""
    return not _TELL_OF_ALL.isdisjoint((outer.source, inner.source))


@lru_cache(maxsize=256)
def _is_frameworks(scope: str) -> bool:
    return any(name in scope.lower() for name in _FRAMEWORKS)


def _in_traces_of_their_own(outer: Report, inner: Report) -> bool:
    """Whether they may be one call in two traces: one of them made in callbacks, or both where there is no span around
    them, as those of streams whose span nothing is put under."""
    begin = outer.parent_span_id is None, inner.parent_span_id is None
    called_back = any(begin) and not outer.call.response_id and makes_spans_apart(outer.scope)
    return may_be_of_one_service(outer.call, inner.call) and (
        called_back or (all(begin) and _is_told_by_all(outer, inner))
    )


def _length(report: Report) -> tuple[int, int, str]:
    """The inner of two is the shorter or, where they are as long, the one nearer the provider."""
    return report.call.ended_at_ns - report.call.started_at_ns, report.source, report.span_id


def _models(report: Report) -> frozenset[str]:
    return _without_editions(report.call.model_requested, report.call.model_served)


@lru_cache(maxsize=256)
def _without_editions(*models: str | None) -> frozenset[str]:
    return frozenset(without_edition(model) for model in models if model)


def _say_the_same(outer: Report, inner: Report) -> bool:
    a, b = outer.call.usage, inner.call.usage
    if a is None or b is None:
        if a is b and outer.call.error_type and inner.call.error_type:
            return True
        beneath = outer.trace_id == inner.trace_id and a is None and _is_frameworks(outer.scope)
        own = inner.source is Source.SDK and not (outer.call.error_type or inner.call.error_type)
        return beneath or own or _tell_of_one_request(outer, inner)
    given, made = _agree_on_input(a, b), _agree_on_output(a, b)
    return False not in (given, made) and True in (given, made)


def _tell_of_one_request(outer: Report, inner: Report) -> bool:
    beside = outer.trace_id == inner.trace_id
    streams = saw_only_the_beginning(outer) and saw_a_stream(inner)
    return streams and tell_of_one_request(outer.call, inner.call, in_one_trace=beside)


def _agree_on_input(a: Usage, b: Usage) -> bool | None:
    """None where one of them does not say, or says 0. One of them may leave out what came from the cache."""
    if not a.input_tokens or not b.input_tokens:
        return None
    return a.input_tokens == b.input_tokens or not {a.input_tokens, _uncached(a)}.isdisjoint(
        {b.input_tokens, _uncached(b)}
    )


def _uncached(usage: Usage) -> int:
    return (usage.input_tokens or 0) - (usage.cache_read_tokens or 0) - (usage.cache_write_tokens or 0)


def _agree_on_output(a: Usage, b: Usage) -> bool | None:
    """Likewise. One of them may leave out the reasoning."""
    if not a.output_tokens or not b.output_tokens:
        return None
    return a.output_tokens == b.output_tokens or not {a.output_tokens, _said(a)}.isdisjoint({b.output_tokens, _said(b)})


def _said(usage: Usage) -> int:
    return (usage.output_tokens or 0) - (usage.reasoning_tokens or 0)
