"""All dialects, in the order they are asked: the most particular first."""

from __future__ import annotations

from typing import Final

from outlay.attributes import SCOPE

from outlay_collector.billing import Report
from outlay_collector.dialects.base import SHARED_PREFIXES, Dialect
from outlay_collector.dialects.genai import GenAI
from outlay_collector.dialects.openinference import OpenInference
from outlay_collector.dialects.outlay import Outlay
from outlay_collector.otlp.span import Span, Wanted

_OUTLAY: Final = Outlay()
DIALECTS: Final[tuple[Dialect, ...]] = (_OUTLAY, OpenInference(), GenAI())

WANTED: Final = Wanted(
    names=frozenset(key for dialect in DIALECTS for key in dialect.keys),
    prefixes=SHARED_PREFIXES + tuple(prefix for dialect in DIALECTS for prefix in dialect.prefixes),
    of_scope={SCOPE: Wanted(_OUTLAY.keys, _OUTLAY.prefixes)},
)
"""Every attribute any of them reads."""


def read_span(span: Span) -> Report | None:
    """What the span says of its call; None where it is none, or speaks no dialect we know."""
    for dialect in DIALECTS:
        if dialect.claims(span):
            return dialect.read(span)
    return None
