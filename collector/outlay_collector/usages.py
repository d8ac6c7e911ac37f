"""Of two usages that are told of one call, whether the lesser source's is the better one. Pure."""

from __future__ import annotations

from outlay.model import Usage


def tells_more(best: Usage, other: Usage) -> bool:
    """Whether it counts what the best counts, and in more detail: fees, lifetimes of what is cached, other models."""
    return _agree(best, other) and _details(other) > _details(best)


def completes(best: Usage, other: Usage) -> bool:
    """Whether it counts what the best counts and what went in or came out besides, of which the best says nothing or 0:
    instrumentations say 0 of what they have not seen."""
    sides = (best.input_tokens, other.input_tokens), (best.output_tokens, other.output_tokens)
    if any(best.quantities.values()) and not any(mine for mine, _ in sides):
        return False
    return all(not mine or mine == its for mine, its in sides) and any(its and not mine for mine, its in sides)


def _agree(best: Usage, other: Usage) -> bool:
    """Whether both count the same, or the best leaves out the reasoning that the other counts."""
    made = other.output_tokens
    if made is not None and best.reasoning_tokens is None and best.output_tokens != made:
        made -= other.reasoning_tokens or 0
    return (other.input_tokens, made) == (best.input_tokens, best.output_tokens)


def _details(usage: Usage) -> int:
    return sum(1 for quantity in usage.quantities.values() if quantity) + len(usage.other_models)
