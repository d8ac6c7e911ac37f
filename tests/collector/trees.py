"""Spans of calls, any of which may be one call, inside and beside each other."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.collector.echoing import ANOTHER_SDK, FRAMEWORK, OURS, SDK, at
from tests.collector.sending import Sent, chat

UNCOUNTED = {name: said for name, said in chat().items() if "usage" not in name}
SAID: list[dict[str, Any]] = [
    chat(),
    chat(**{"gen_ai.response.id": "r"}),
    chat(**{"gen_ai.response.id": "s"}),
    UNCOUNTED,
    UNCOUNTED | {"error.type": "RateLimitError"},
]


@st.composite
def trees(draw: st.DrawFn) -> list[Sent]:
    """Trees with parents that are missing, in two traces."""
    found = []
    scopes = draw(st.sampled_from([[SDK], [SDK, ANOTHER_SDK], [FRAMEWORK, SDK, ANOTHER_SDK, "outlay"]]))
    for span in range(1, draw(st.integers(2, 12)) + 1):
        parent = draw(st.sampled_from([None, 90, *range(1, span)]))
        began = draw(st.integers(0, 60))
        ended = began + draw(st.integers(1, 60))
        scope = draw(st.sampled_from(scopes))
        said = draw(st.sampled_from(SAID)) | (OURS if scope == "outlay" else {})
        found.append(at(span, parent, began, ended, said, scope, trace=draw(st.sampled_from([1, 1, 1, 2]))))
    return found
