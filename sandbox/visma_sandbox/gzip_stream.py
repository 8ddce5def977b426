"""A gzip member whose middle is one block repeated: any size, compressed once, in constant memory."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


@dataclass(frozen=True, slots=True)
class RepeatedGzip:
    """The pieces of the member: ``head``, ``block`` as many times as asked, ``tail``."""

    head: bytes
    block: bytes
    tail: bytes


def repeated_gzip(*, head: bytes, block: bytes, times: int, tail: bytes) -> RepeatedGzip:
    """Compress ``head + block * times + tail``.

    A full flush ends every piece on a byte and forgets the window (RFC 1951, Z_FULL_FLUSH), so that a
    compressed block may follow itself.
    """

    def deflated(piece: bytes, flush: int) -> bytes:
        compressor = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        return compressor.compress(piece) + compressor.flush(flush)

    crc = zlib.crc32(head)
    for _ in range(times):
        crc = zlib.crc32(block, crc)
    crc = zlib.crc32(tail, crc)
    size = (len(head) + len(block) * times + len(tail)) & 0xFFFFFFFF
    return RepeatedGzip(
        head=_HEADER + deflated(head, zlib.Z_FULL_FLUSH),
        block=deflated(block, zlib.Z_FULL_FLUSH),
        tail=deflated(tail, zlib.Z_FINISH) + struct.pack("<II", crc, size),
    )
