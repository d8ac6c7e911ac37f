"""Whose attribute names a span uses: one file a dialect, each turning a span into a report of a call.

A dialect says which attributes it reads, whether a span is one of its own, and what the span says. A span that is no
call (an agent, a tool, a chain, a retrieval) gives None: it may repeat its children's usage and is never billed.
"""
