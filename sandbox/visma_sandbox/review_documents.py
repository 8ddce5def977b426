"""The PDF of a review, and what is wrongly taken for one: of any size, made while it is sent."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256, shake_128
from typing import Final

KINDS: Final = (
    "pdf",
    "executable",
    "html",
    "empty",
    "truncated",
    "javascript",
    "escaped_javascript",
    "packed_javascript",
    "unreadable_objects",
    "launch",
    "attachment",
    "encrypted",
)
_BLOCK: Final = 64 << 10
_ACTIONS: Final = {
    "javascript": b"<< /Type /Action /S /JavaScript /JS (app.alert\\(1\\)) >>",
    "escaped_javascript": b"<< /Type /Action /S /J#61va#53cript /JS (app.alert\\(1\\)) >>",
    "launch": b"<< /Type /Action /S /Launch /F (calc.exe) >>",
    "attachment": b"<< /Type /EmbeddedFile /Length 0 >>\nstream\n\nendstream",
}
_PAGE: Final = b"BT /F1 24 Tf 72 720 Td (Beoordeling) Tj ET"


@dataclass(frozen=True, slots=True)
class ReviewDocument:
    """A document of exactly *size* bytes, or of its least size where that is more.

    :param kind: one of :data:`KINDS`.
    :param seed: the same seed gives the same bytes.
    """

    kind: str
    size: int
    seed: str

    def pieces(self) -> Iterator[bytes]:
        """Make the document, piece by piece."""
        match self.kind:
            case "empty":
                return
            case "executable":
                yield from self._around(b"MZ\x90\x00\x03\x00This program cannot be run in DOS mode.\r\n", b"")
            case "html":
                yield from self._around(b"<!DOCTYPE html><html><body><p>Log in</p><!--", b"--></body></html>")
            case "truncated":
                yield from _first(self._pdf(), max(self.size * 3 // 5, 200))
            case _:
                yield from self._pdf()

    def measured(self) -> tuple[int, str]:
        """Return the size and SHA-256 of what :meth:`pieces` makes."""
        size, digest = 0, sha256()
        for piece in self.pieces():
            size += len(piece)
            digest.update(piece)
        return size, digest.hexdigest()

    def _pdf(self) -> Iterator[bytes]:
        catalog = b"<< /Type /Catalog /Pages 2 0 R%s >>"
        head = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
        offsets = []
        for number, content in enumerate(
            (
                catalog % (b" /OpenAction 5 0 R" if self.kind in _ACTIONS else b""),
                b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
                b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources"
                b" << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
                _stream(b"", _PAGE),
                self._extra(),
            ),
            1,
        ):
            offsets.append(len(head))
            head += b"%d 0 obj\n%s\nendobj\n" % (number, content)
        offsets.append(len(head))
        # What an image would be: bytes that nothing makes smaller. Numbers have ten digits, always.
        opening, closing = b"6 0 obj\n<< /Length %010d >>\nstream\n", b"\nendstream\nendobj\n"
        around = len(head) + len(opening % 0) + len(closing)
        room = max(self.size - around - len(_table(offsets, 0, self.kind)), 0)
        yield bytes(head) + opening % room
        yield from self._filling(room)
        yield closing + _table(offsets, around + room, self.kind)

    def _extra(self) -> bytes:
        if self.kind == "packed_javascript":
            packed = zlib.compress(b"9 0 << /Type /Action /S /JavaScript /JS (app.alert\\(1\\)) >>")
            return _stream(b"/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode", packed)
        if self.kind == "unreadable_objects":
            return _stream(b"/Type /ObjStm /N 1 /First 4 /Filter [/ASCII85Decode /LZWDecode]", b"J..)6T~>")
        packed = zlib.compress(b"9 0 << /Producer (visma-sandbox) >>")
        if self.kind in _ACTIONS:
            return _ACTIONS[self.kind]
        return _stream(b"/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode", packed)

    def _around(self, head: bytes, tail: bytes) -> Iterator[bytes]:
        yield head
        yield from self._filling(max(self.size - len(head) - len(tail), 0))
        yield tail

    def _filling(self, size: int) -> Iterator[bytes]:
        block = shake_128(self.seed.encode()).digest(_BLOCK)
        while size > 0:
            yield block[:size]
            size -= len(block)


def _stream(entries: bytes, content: bytes) -> bytes:
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (entries, len(content), content)


def _table(offsets: list[int], at: int, kind: str) -> bytes:
    rows = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    encrypt = b" /Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 >>" if kind == "encrypted" else b""
    head = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(offsets) + 1, rows)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R%s >>\n" % (len(offsets) + 1, encrypt)
    return b"%s%sstartxref\n%010d\n%%%%EOF\n" % (head, trailer, at)


def _first(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    for piece in pieces:
        yield piece[:size]
        size -= len(piece)
        if size <= 0:
            return
