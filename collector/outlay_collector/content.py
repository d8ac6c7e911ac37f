"""What a collector keeps of prompts and answers: what an application sent, redacted once more unless told otherwise.

Only Outlay's own spans bring any, and only where their application asked for it. What other instrumentations send of
prompts is never read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Literal

import orjson
from outlay.content import ContentMode, ContentPolicy
from outlay.model import Content

from outlay_collector.billing import Report

Keep = Literal["off", "redacted", "full"]

_MOST_CHARACTERS: Final = 65_536
"""Of one text, whoever sent it."""


def kept(report: Report, keep: Keep) -> Report:
    """The report with as much of its content as may be stored."""
    content = report.call.content
    if content is None:
        return report
    mode = ContentMode.FULL if keep == content.mode == "full" else ContentMode.REDACTED
    stored = None if keep == "off" else _released(content, ContentPolicy(mode, _MOST_CHARACTERS, 1.0))
    return replace(report, call=replace(report.call, content=stored))


def _released(content: Content, policy: ContentPolicy) -> Content:
    return policy.released(*(_messages(each) for each in (content.system, content.input, content.output)))


def _messages(text: str | None) -> Sequence[Any]:
    """The messages a document holds; none where it is damaged."""
    try:
        found = orjson.loads(text or "[]")
    except orjson.JSONDecodeError:
        return ()
    return found if isinstance(found, list) else ()
