"""What can go wrong between an honest answer and its reader. An answer without a fault never comes here."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

from aiohttp import web

from visma_sandbox.faults import Fault
from visma_sandbox.gzip_stream import repeated_gzip
from visma_sandbox.hostile import DAMAGES
from visma_sandbox.journal import JournalEntry

BEFORE_KINDS = frozenset({"status", "redirect", "html_error_page", "hang", "reset"})
AFTER_KINDS = frozenset(
    {"act_then_hang", "act_then_reset", "wrong_status", "slow_body", "truncated", "reset_body", "gzip_bomb"}
) | frozenset(DAMAGES)
FAULT_KINDS = BEFORE_KINDS | AFTER_KINDS

HTML_ERROR_PAGE = "<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Sorry</h1></body></html>"
_FOREVER = 3600.0
_BOMB_BLOCK = 1 << 20


@dataclass(slots=True)
class Answer:
    """What a system wanted to send.

    :param length: bytes in all, when known; without it the body is sent in chunks.
    """

    status: int
    headers: dict[str, str]
    pieces: AsyncIterator[bytes]
    length: int | None


async def one_piece(body: bytes) -> AsyncIterator[bytes]:
    """A body as the stream of itself."""
    yield body


async def before(request: web.Request, fault: Fault, entry: JournalEntry) -> web.Response | None:
    """Answer in the system's stead, so that it never acts; None when the fault is not of that kind."""
    match fault.kind:
        case "status":
            return _status_response(fault)
        case "html_error_page":
            body = str(fault.args.get("body", HTML_ERROR_PAGE))
            return web.Response(
                status=int(fault.args.get("status", 200)), text=body, content_type="text/html"
            )
        case "redirect":
            location = str(fault.args.get("location", "http://169.254.169.254/"))
            return web.Response(status=int(fault.args.get("status", 302)), headers={"Location": location})
        case "hang":
            await _hang(request, fault, entry)
            return web.Response(status=504)
        case "reset":
            reset_connection(request)
            return web.Response(status=504)
        case _:
            return None


def _status_response(fault: Fault) -> web.Response:
    status = int(fault.args.get("status", 503))
    headers = {name: str(value) for name, value in dict(fault.args.get("headers", {})).items()}
    if status == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
    seconds = fault.args.get("retry_after")
    if seconds is not None:
        form = fault.args.get("form", "seconds")
        name, value = {
            "seconds": ("Retry-After", str(seconds)),
            "http_date": ("Retry-After", formatdate(time.time() + float(seconds), usegmt=True)),
            "reset": ("X-RateLimit-Reset", str(seconds)),
        }[form]
        headers[name] = value
    return web.Response(
        status=status,
        headers=headers,
        text=str(fault.args.get("body", "")),
        content_type=str(fault.args.get("content_type", "text/plain")),
    )


async def send_spoiled(
    request: web.Request, fault: Fault, answer: Answer, entry: JournalEntry
) -> web.StreamResponse:
    """Send the answer as the fault would have it."""
    finish: Callable[[web.Request], None] | None = None
    match fault.kind:
        case "act_then_hang":
            await _hang(request, fault, entry)
            return web.Response(status=504)
        case "act_then_reset":
            reset_connection(request)
            return web.Response(status=504)
        case "wrong_status":
            answer.status = int(fault.args.get("status", 200))
        case "slow_body":
            answer.pieces = _slowed(answer.pieces, fault.args)
        case "truncated" | "reset_body":
            await _cut(answer, fault.args)
            finish = _hang_up if fault.kind == "truncated" else reset_connection
        case "gzip_bomb":
            _become_bomb(answer, int(fault.args.get("size", 1 << 32)))
        case _:
            body = DAMAGES[fault.kind](b"".join([piece async for piece in answer.pieces]), fault.args)
            answer.pieces, answer.length = one_piece(body), len(body)
    return await transmit(request, answer, entry, finish=finish)


async def transmit(
    request: web.Request,
    answer: Answer,
    entry: JournalEntry,
    *,
    finish: Callable[[web.Request], None] | None = None,
) -> web.StreamResponse:
    """Write the answer out, counting; a reader that goes away is its own business.

    :param finish: what to do to the connection instead of ending the body properly.
    """
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    if answer.length is None:
        response.enable_chunked_encoding()
    else:
        response.content_length = answer.length
    entry.status = answer.status
    try:
        await response.prepare(request)
        async for piece in answer.pieces:
            await response.write(piece)
            entry.bytes_sent += len(piece)
        if finish is None:
            await response.write_eof()
        else:
            await asyncio.sleep(0.05)  # lets what was written leave before the connection dies
            finish(request)
    except ConnectionError:
        pass
    return response


def reset_connection(request: web.Request) -> None:
    """End the connection with an RST: no shutdown, no TLS closing alert."""
    transport = request.transport
    if transport is not None:
        socket = transport.get_extra_info("socket")
        if socket is not None:
            socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()


async def _hang(request: web.Request, fault: Fault, entry: JournalEntry) -> None:
    """Say nothing until the client has gone, is let go, or the argument ``seconds`` has passed; hang up."""
    seconds = float(fault.args.get("seconds", _FOREVER))
    transport = request.transport
    if transport is None:
        return
    entry.kept_waiting = transport.get_extra_info("peername")[1]
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            # aiohttp has no event for a client that left
            while entry.kept_waiting and not transport.is_closing():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    entry.kept_waiting = None
    _hang_up(request)


async def _slowed(pieces: AsyncIterator[bytes], args: Any) -> AsyncIterator[bytes]:
    size, interval = int(args.get("bytes", 1024)), float(args.get("interval", 0.1))
    async for piece in pieces:
        for start in range(0, len(piece), size):
            yield piece[start : start + size]
            await asyncio.sleep(interval)


async def _cut(answer: Answer, args: Any) -> None:
    """Keep ``keep`` bytes, or that share when below 1; the announced length stays that of the whole."""
    keep = float(args.get("keep", 0.5))
    if answer.length is None:
        body = b"".join([piece async for piece in answer.pieces])
        answer.pieces, answer.length = one_piece(body), len(body)
    answer.pieces = _first(answer.pieces, int(answer.length * keep) if keep < 1 else int(keep))
    if args.get("chunked", False):
        answer.length = None


async def _first(pieces: AsyncIterator[bytes], count: int) -> AsyncIterator[bytes]:
    async for piece in pieces:
        if count <= 0:
            return
        yield piece[:count]
        count -= len(piece)


def _become_bomb(answer: Answer, size: int) -> None:
    bomb = repeated_gzip(head=b"", block=b"\0" * _BOMB_BLOCK, times=size // _BOMB_BLOCK, tail=b"")

    async def pieces() -> AsyncIterator[bytes]:
        yield bomb.head
        for _ in range(size // _BOMB_BLOCK):
            yield bomb.block
        yield bomb.tail

    answer.headers["Content-Encoding"] = "gzip"
    answer.pieces, answer.length = pieces(), None
