"""Sending text while it is made: an answer of any size costs the memory of one piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Final

from aiohttp import web

from visma_sandbox.exchange import Exchange

_PIECE: Final = 64 << 10


async def send_text(
    exchange: Exchange, texts: Iterable[str], *, headers: Mapping[str, str], status: int = 200
) -> web.StreamResponse:
    """Send a small answer whole, with its length, and a large one in pieces."""
    pieces = _pieces(texts)
    first = next(pieces, b"")
    second = next(pieces, None)
    if second is None:
        return await exchange.respond(web.Response(status=status, body=first, headers=headers))

    async def all_pieces() -> AsyncIterator[bytes]:
        yield first
        yield second
        for piece in pieces:
            await asyncio.sleep(0)  # others want to be answered meanwhile
            yield piece

    return await exchange.stream(all_pieces(), status=status, headers=headers)


def _pieces(texts: Iterable[str]) -> Iterator[bytes]:
    waiting: list[str] = []
    size = 0
    for text in texts:
        waiting.append(text)
        size += len(text)
        if size >= _PIECE:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    if waiting:
        yield "".join(waiting).encode()
