"""Answers of many rows as JSON. Left to FastAPI, a dict is looked through value by value for what type each is, on
another thread: a few hundred rows take five times as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Response


def written(said: Mapping[str, Any]) -> Response:
    """Of text, numbers, truth values, None, and lists and dicts of these."""
    return Response(orjson.dumps(said), media_type="application/json")
