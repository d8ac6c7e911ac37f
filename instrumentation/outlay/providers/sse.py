"""Server-sent events: from the text of a streamed response to its events.

Needed where the raw body is at hand (stored responses, tests): the SDKs decode what they stream themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_BETWEEN_EVENTS: Final = re.compile(r"(?:\r?\n){2,}")


def decode_sse(body: str) -> Iterator[Mapping[str, Any]]:
    """The JSON objects of a body's events; left out is what is none: `[DONE]`, comments, a last event that was cut."""
    for block in _BETWEEN_EVENTS.split(body):
        data = "\n".join(line[5:].strip() for line in block.splitlines() if line.startswith("data:"))
        try:
            event = json.loads(data)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event
