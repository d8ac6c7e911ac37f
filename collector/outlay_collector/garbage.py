"""When Python looks for cycles that nobody can reach any more: seldom, and not among what stands since the start.

Calls and answers leave none. Looking for some took a fifth of the CPU time of taking calls in, and held up every answer
that came meanwhile for a tenth of a second.
"""

from __future__ import annotations

import gc
from typing import Final

_OBJECTS_BETWEEN_COLLECTIONS: Final = 250_000


def collect_garbage_seldom() -> None:
    """Once the process has started."""
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 10, 10)
