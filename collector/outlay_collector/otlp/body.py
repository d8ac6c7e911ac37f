"""The bytes of a request as they come: capped, and inflated under a cap."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import AsyncIterable
from typing import Final

from outlay_collector.otlp.span import BadBody

_WBITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class TooLarge(Exception):
    """A body above the cap, before or after it was inflated."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than {limit} bytes; send smaller batches")


class UnknownEncoding(Exception):
    """A Content-Encoding the collector does not speak."""


async def read_body(chunks: AsyncIterable[bytes], limit: int) -> bytes:
    """The whole body. Raises `TooLarge` as soon as it is known to be: nothing above `limit` is held."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise TooLarge(limit)
    return bytes(body)


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its encoding. Raises `TooLarge`, `UnknownEncoding` and, where it is damaged, `BadBody`."""
    if encoding in ("", "identity"):
        return body
    if encoding not in _WBITS:
        raise UnknownEncoding(f"Content-Encoding {encoding!r}: expected gzip, deflate or none")
    inflater = zlib.decompressobj(_WBITS[encoding])
    try:
        inflated = inflater.decompress(body, limit + 1)
        if inflater.unused_data:
            if encoding == "deflate":
                raise BadBody("the deflate body goes on behind its end")
            inflated = _all_members(body, limit)
        if len(inflated) > limit:
            raise TooLarge(limit)
        if not inflater.eof:
            raise EOFError
    except (zlib.error, OSError) as error:
        raise BadBody(f"the body is not {encoding}: {error}") from None
    except EOFError:
        raise BadBody(f"the {encoding} body ends before it is complete") from None
    return inflated


def _all_members(body: bytes, limit: int) -> bytes:
    """A gzip file may be several, one after another, and is what they are together."""
    with gzip.GzipFile(fileobj=io.BytesIO(body)) as members:
        return members.read(limit + 1)
