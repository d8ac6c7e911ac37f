"""Puts reports that came and calls that are stored together, call by call.

A report joins a call by its bill's key or by the nesting of spans, and may join two calls that were thought apart. The
decision of what is one call is `billing`'s and `echoes`'; here is what it takes to ask them of a database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Row, select

from outlay_collector.billing import (
    SPLIT_STREAMS,
    Report,
    Source,
    bill_key_of,
    is_same_call,
    is_shadow,
    is_stream_of,
)
from outlay_collector.echoes import echoes, is_apart, pairs, traces_to_look_up
from outlay_collector.paths import SpanKey
from outlay_collector.response_ids import key_to_keep
from outlay_collector.store.closing import keys_of, say_let_go
from outlay_collector.store.groups import Group
from outlay_collector.store.inserting import portions, rows_by_key
from outlay_collector.store.neighbours import Neighbours, parents_of_steps
from outlay_collector.store.pairing import (
    echoes_near,
    is_lonely,
    is_of_a_stream,
    lonely_near,
    overlapping,
    streams_near,
)
from outlay_collector.store.rows import stored_report
from outlay_collector.store.schema import CALLS, REPORTS


class Grouping:
    """Puts fresh reports and stored calls together, call by call."""

    def __init__(
        self, connection: Connection, fresh: dict[SpanKey, Report], neighbours: Neighbours, received_at_ns: int
    ) -> None:
        self._connection = connection
        self._fresh = fresh
        self._neighbours = neighbours
        self._mixed = neighbours.told_of_by_several(fresh.values())
        with_id = ((key, report) for key, report in fresh.items() if report.answer_id)
        self._keys = {key: keys_of(report, received_at_ns) for key, report in with_id}
        wanted = {each for keys in self._keys.values() for each in keys}
        stored = rows_by_key(connection, "calls", ("bill_key", "id"), "bill_key", wanted)
        self._by_key: dict[str, int] = dict(stored)
        self.rows: dict[int, Row[Any]] = {}
        self._of_call = {
            call_id: Group(tuple(members), (), frozenset({call_id}), frozenset({bill_key}))
            for call_id, bill_key, members in self._stored(connection)
        }
        self._let_go(set(self._by_key.values()) - self._of_call.keys())
        self._of_span = {key: Group.of_one(report) for key, report in fresh.items()}
        self.seen = {
            (r.trace_id, r.span_id) for g in self._of_call.values() for r in g.members
        } | neighbours.calls.keys()

    def _let_go(self, bare: set[int]) -> None:
        """Reports of calls whose own are gone are let go, as those that come late are (`closing`): an id may come
        again long after, from whoever keeps answers or counts ids."""
        late = [key for key, each in self._keys.items() if any(self._by_key.get(k) in bare for k in each)]
        for key in late:
            del self._keys[key], self._fresh[key]
        say_let_go(len(late))

    def groups(self) -> list[Group]:
        """Every call that has a fresh report, in the order the reports came."""
        first_of_key: dict[str, Group] = {}
        for key, bill_keys in self._keys.items():
            group = self._of_span[key]
            if (first := first_of_key.setdefault(bill_keys[0], group)) is not group:
                first.join(group, by_key=True)
            for bill_key in bill_keys:
                if (call_id := self._by_key.get(bill_key)) is not None:
                    self._of_call[call_id].join(group, by_key=True)
        for key, report in self._fresh.items():
            if report.parent_span_id or self._neighbours.under:
                self._join_nested(key, report)
        self._join_shadows()
        self._join_streams()
        self._join_echoes()
        return list(dict.fromkeys(map(Group.root, self._of_span.values())))

    def bill_keys(self, groups: Iterable[Group]) -> dict[Group, str]:
        """Under which key each call is stored. No two under one: where an id was given to calls that something else
        tells apart, one of them has it."""
        keys: dict[Group, str] = {}
        taken: set[str] = set()
        for group in groups:
            key = bill_key_of(group.members)
            if group.stored_keys:
                key = key_to_keep(key, group.stored_keys)
            if key in taken or (key in self._by_key and key not in group.stored_keys):
                key = min(group.stored_keys, default=group.members[0].span_key)
            taken.add(key)
            keys[group] = key
        return keys

    def _join_nested(self, key: SpanKey, report: Report) -> None:
        group = self._of_span[key]
        if report.parent_span_id:
            outer = (report.trace_id, report.parent_span_id)
            outer_call = self._neighbours.calls.get(outer)
            above = self._of_span.get(outer) or (None if outer_call is None else self._of_call[outer_call])
            if above and is_same_call(_span_of(above, outer), report):
                above.join(group)
        for call_id in self._neighbours.under.get(key, ()):
            below = self._of_call[call_id]
            if any(is_same_call(report, inner) for inner in below.members):
                below.join(group)

    def _join_shadows(self) -> None:
        """Pair what SDKs say themselves with what instrumentations say of the same calls, one with one."""
        if not any(map(is_lonely, self._fresh.values())):
            return
        lonely = [each for each in self._roots() if len(each.members) == 1 and is_lonely(each.members[0])]
        own = [group for group in lonely if group.members[0].source is Source.SDK]
        others = [group for group in lonely if group.members[0].source > Source.SDK]
        for group in own:
            for other in others:
                if is_shadow(group.members[0], other.members[0]):
                    group.join(other)
                    others.remove(other)
                    break

    def _join_streams(self) -> None:
        """Pair the records of streams with the spans that began them, one with one, the nearest first."""
        if not any(report.dialect in SPLIT_STREAMS for report in self._fresh.values()):
            return
        groups = self._roots()
        records = [(r, each) for each in groups if len(each.members) == 1 and is_of_a_stream(r := each.members[0])]
        for record, group in sorted(records, key=lambda pair: (pair[0].call.started_at_ns, pair[0].span_id)):
            began = [(r, each) for each in groups if each is not group for r in each.members if is_stream_of(record, r)]
            for _, other in sorted(began, key=lambda pair: (-pair[0].call.ended_at_ns, pair[0].span_id)):
                if not any(is_of_a_stream(r) for r in other.root().members) and other.join(group):
                    break

    def _join_echoes(self) -> None:
        """Pair what two instrumentations say of one call in different places, each with one of the other's."""
        told = (*self._fresh.values(), *(r for group in self._of_call.values() for r in group.members))
        if not any(map(is_apart, told)):
            told = tuple(r for r in told if r.trace_id in self._mixed)
        parents = self._neighbours.parents | {key: report.parent_span_id for key, report in self._fresh.items()}
        groups = {(r.trace_id, r.span_id): group for group in self._roots() for r in group.members}
        said = pairs(told, parents, groups)
        if traces := traces_to_look_up(said, parents):
            parents = parents_of_steps(self._connection, traces) | parents
        for outer, inner in echoes(said, parents):
            one, other = (groups[r.trace_id, r.span_id].root() for r in (outer, inner))
            if one is other or not (one.fresh or other.fresh):
                continue
            if one.is_told_by_others(other):
                one.join(other)

    def _roots(self) -> list[Group]:
        return list(dict.fromkeys(map(Group.root, (*self._of_span.values(), *self._of_call.values()))))

    def _stored(self, connection: Connection) -> Iterator[tuple[int, str, list[Report]]]:
        """The stored calls a fresh report may belong to, each with its key and with what its reports said."""
        wanted = set(self._by_key.values()) | lonely_near(connection, self._fresh.values())
        wanted |= streams_near(connection, self._fresh.values()) | echoes_near(connection, self._fresh.values())
        wanted |= overlapping(connection, self._neighbours.of(self._mixed), self._fresh.values())
        for key in self._neighbours.under.keys() & self._fresh.keys():
            wanted.update(self._neighbours.under[key])
        for report in self._fresh.values():
            if report.parent_span_id:
                wanted.update(filter(None, [self._neighbours.calls.get((report.trace_id, report.parent_span_id))]))
        for some in portions(wanted):
            rows = {row.id: row for row in connection.execute(select(CALLS).where(CALLS.c.id.in_(some)))}
            self.rows |= rows
            members: defaultdict[int, list[Report]] = defaultdict(list)
            for report_row in connection.execute(select(REPORTS).where(REPORTS.c.call_id.in_(some))):
                members[report_row.call_id].append(stored_report(report_row, rows[report_row.call_id]))
            yield from ((call_id, rows[call_id].bill_key, said) for call_id, said in members.items())


def _span_of(group: Group, key: SpanKey) -> Report:
    return next((r for r in group.members if (r.trace_id, r.span_id) == key), group.members[0])
