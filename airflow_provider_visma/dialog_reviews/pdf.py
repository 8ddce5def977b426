"""Whether a file may be filed as a PDF, by its bytes.

This reads no PDF: it looks for what a PDF begins and ends with, and for names that it must not hold, also
written with escapes (ISO 32000-1, 7.3.5) and packed in object streams (7.5.7). It is no virus scanner. Memory
does not grow with the file, and neither it nor time with what somebody made to take long.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO

MAX_BYTES = 25 * 1024 * 1024
"""What is accepted at most; Nmbrs publishes no limit, and answers 2041 beyond its own."""

_EDGE = 1024
_PIECE = 256 * 1024
_PACKED_PIECE = 16 * 1024  # most object streams are smaller
# Longer than a name with every sign escaped, and than the dictionary of an object stream is.
_OVERLAP = 4 * 1024
# Of one object stream; of all of a file, packed and unpacked; and how many a file may have. Common writers
# pack a hundred objects and more in each.
_MOST_UNPACKED = 16 * 1024 * 1024
_MOST_LOOKED_AT = 256 * 1024 * 1024
_MOST_STREAMS = 10_000


def _name(word: str) -> bytes:
    """Return an expression for a PDF name, any sign of which may be written as ``#`` and its code."""
    signs = (rf"(?:{re.escape(sign)}|#{ord(sign):02x}|#{ord(sign):02X})" for sign in word)
    return ("/" + "".join(signs)).encode()


# White space, a delimiter, or the end: part of an address in a link is no name.
_ENDS = rb"(?=[\s\0()<>\[\]{}/%]|$)"
_FORBIDDEN = {
    "javascript": re.compile(_name("JavaScript") + _ENDS),
    "launch": re.compile(_name("Launch") + _ENDS),
    "attachment": re.compile(_name("EmbeddedFile") + b"(?:%s)?" % _name("s")[1:] + _ENDS),
}
_UNREADABLE = "unreadable_objects"
_ENCRYPTED = re.compile(_name("Encrypt") + rb"(?![A-Za-z#])")
_OBJECT_STREAM = re.compile(_name("ObjStm"))
_STREAM = re.compile(rb"stream\r?\n")
_OBJECT = re.compile(rb"\d\s+obj\b")
_FILTER = re.compile(_name("Filter"))
_PREDICTOR = re.compile(_name("Predictor"))
_DEFLATED = re.compile(rb"/Filter\s*(?:/FlateDecode(?=[\s/>])|\[\s*/FlateDecode\s*\])")


def problems_of(
    file: BinaryIO,
    *,
    max_bytes: int = MAX_BYTES,
    allow_active: bool = False,
    allow_encrypted: bool = False,
) -> tuple[str, ...]:
    """Return what is wrong with *file*, by name; nothing where it may be filed.

    :param file: read from its beginning; its position afterwards is nowhere in particular.
    :param allow_active: let programs, actions that start one, and attached files pass.
    :param allow_encrypted: let encrypted files pass. What is packed in them cannot be looked into.
    """
    size = file.seek(0, 2)
    if not size:
        return ("empty",)
    if size > max_bytes:
        return ("too_large",)
    file.seek(0)
    if b"%PDF-" not in file.read(_EDGE):
        return ("not_a_pdf",)
    file.seek(max(size - _EDGE, 0))
    found = set() if b"%%EOF" in file.read(_EDGE) else {"truncated"}
    encrypted = not allow_encrypted or not allow_active
    if encrypted and any(_ENCRYPTED.search(window) for _, window in _windows(file)):
        if not allow_encrypted:
            found.add("encrypted")
        return tuple(sorted(found | (set() if allow_active else _active(file, packed=False))))
    return tuple(sorted(found | (set() if allow_active else _active(file, packed=True))))


def _active(file: BinaryIO, *, packed: bool) -> set[str]:
    """Return which of the forbidden there is.

    :param packed: look into object streams too.
    """
    found: set[str] = set()
    places: set[int] = set()
    for start, window in _windows(file):
        found |= _forbidden_in(window)
        if packed:
            places |= {start + match.start() for match in _OBJECT_STREAM.finditer(window)}
            if len(places) > _MOST_STREAMS:
                return found | {_UNREADABLE}
    streams = _ObjectStreams(file)
    for place in sorted(places):
        found |= streams.problems_of(place)
        if _UNREADABLE in found:
            break
    return found


def _forbidden_in(text: bytes) -> set[str]:
    return {problem for problem, name in _FORBIDDEN.items() if name.search(text)}


def _windows(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the file in pieces that overlap, each with its place."""
    file.seek(0)
    kept, place = b"", 0
    while piece := file.read(_PIECE):
        window = kept + piece
        yield place, window
        kept = window[-_OVERLAP:]
        place += len(window) - len(kept)


class _ObjectStreams:
    """Looks into the object streams of a file, each once.

    What cannot be unpacked here may hold anything, so it is refused as such.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._seen: set[int] = set()
        self._left = _MOST_LOOKED_AT

    def problems_of(self, place: int) -> set[str]:
        """Return what is forbidden in the stream whose type stands at *place*."""
        start = max(place - _OVERLAP, 0)
        self._file.seek(start)
        around = self._file.read(place - start + _OVERLAP)
        begins = max((match.end() for match in _OBJECT.finditer(around, 0, place - start)), default=0)
        stream = _STREAM.search(around, place - start)
        if stream is None:
            return {_UNREADABLE}
        dictionary = around[begins : stream.start()]
        if not _FILTER.search(dictionary):
            return set()  # not packed: it was read with the rest
        if not _DEFLATED.search(dictionary) or _PREDICTOR.search(dictionary):
            return {_UNREADABLE}
        content = start + stream.end()
        if content in self._seen:
            return set()
        self._seen.add(content)
        return self._problems_at(content)

    def _problems_at(self, content: int) -> set[str]:
        self._file.seek(content)
        found: set[str] = set()
        inflating, kept, size = zlib.decompressobj(), b"", 0
        try:
            while not inflating.eof:
                packed = inflating.unconsumed_tail or self._file.read(_PACKED_PIECE)
                text = inflating.decompress(packed, _PIECE)
                size += len(text)
                rest = len(inflating.unconsumed_tail) + len(inflating.unused_data)
                self._left -= len(text) + len(packed) - rest
                if not packed or size > _MOST_UNPACKED or self._left < 0:
                    return found | {_UNREADABLE}
                found |= _forbidden_in(kept + text)
                kept = (kept + text)[-_OVERLAP:]
        except zlib.error:
            return found | {_UNREADABLE}
        return found
