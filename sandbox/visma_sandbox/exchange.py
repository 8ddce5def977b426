"""One request and its answer: the only way out, so that each answer is journalled and spoilt alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping

from aiohttp import web

from visma_sandbox import wire
from visma_sandbox.faults import Fault
from visma_sandbox.journal import JournalEntry

_SET_BY_THE_SERVER = frozenset({"content-length", "transfer-encoding", "date", "server"})


class Exchange:
    """What a handler holds between ``begin`` and its answer.

    :param fault: the fault this request met. Kinds of wire.py are applied here; the others are the
        handler's own business.
    """

    def __init__(self, request: web.Request, entry: JournalEntry, fault: Fault | None) -> None:
        self.request = request
        self.entry = entry
        self.fault = fault

    def fault_is(self, kind: str) -> bool:
        """Whether this request met a fault of the kind."""
        return self.fault is not None and self.fault.kind == kind

    @property
    def wire_fault(self) -> Fault | None:
        """The fault that the bytes of the answer must pass through, if any."""
        return self.fault if self.fault is not None and self.fault.kind in wire.AFTER_KINDS else None

    async def respond(self, response: web.Response) -> web.StreamResponse:
        """Send a complete answer."""
        body = response.body if isinstance(response.body, (bytes, bytearray)) else b""
        if (fault := self.wire_fault) is not None:
            answer = wire.Answer(
                response.status, _own_headers(response.headers), wire.one_piece(bytes(body)), len(body)
            )
            return await wire.send_spoiled(self.request, fault, answer, self.entry)
        self.entry.status = response.status
        self.entry.bytes_sent = len(body)
        return response

    async def stream(
        self,
        pieces: Iterable[bytes] | AsyncIterator[bytes],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        length: int | None = None,
    ) -> web.StreamResponse:
        """Send an answer while it is being made.

        :param length: its size in bytes when known; without it the body goes out in chunks.
        """
        source = pieces if isinstance(pieces, AsyncIterator) else _each(pieces)
        answer = wire.Answer(status, dict(headers or {}), source, length)
        if (fault := self.wire_fault) is not None:
            return await wire.send_spoiled(self.request, fault, answer, self.entry)
        return await wire.transmit(self.request, answer, self.entry)


async def _each(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _own_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _SET_BY_THE_SERVER}
