"""Whether a file may be filed as a PDF, by its bytes.

This reads no PDF: it looks for what a PDF begins and ends with, and for names that it must not hold, also
written with escapes (ISO 32000-1, 7.3.5) and packed in object streams (7.5.7). It is no virus scanner. Memory
does not grow with the file.
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
# Longer than a name with every sign escaped, and than the dictionary of an object stream is.
_OVERLAP = 4 * 1024
_MOST_UNPACKED = 16 * 1024 * 1024


def _name(word: str) -> bytes:
    """Return an expression for a PDF name, any sign of which may be written as ``#`` and its code."""
    signs = (rf"(?:{re.escape(sign)}|#{ord(sign):02x}|#{ord(sign):02X})" for sign in word)
    return ("/" + "".join(signs)).encode()


_FORBIDDEN = {
    "javascript": re.compile(_name("JavaScript")),
    "launch": re.compile(_name("Launch")),
    "attachment": re.compile(_name("EmbeddedFile")),
}
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
    streams: set[int] = set()
    for start, window in _windows(file):
        found |= _forbidden_in(window)
        streams |= {start + match.start() for match in _OBJECT_STREAM.finditer(window)}
    if packed:
        for place in sorted(streams):
            found |= _in_object_stream(file, place)
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


def _in_object_stream(file: BinaryIO, place: int) -> set[str]:
    """Return what is forbidden in the object stream whose type stands at *place*.

    What cannot be unpacked here may hold anything, so it is refused as such.
    """
    start = max(place - _OVERLAP, 0)
    file.seek(start)
    around = file.read(place - start + _OVERLAP)
    begins = max((match.end() for match in _OBJECT.finditer(around, 0, place - start)), default=0)
    stream = _STREAM.search(around, place - start)
    if stream is None:
        return {"unreadable_objects"}
    dictionary = around[begins : stream.start()]
    if not _FILTER.search(dictionary):
        return set()  # not packed: it was read with the rest
    if not _DEFLATED.search(dictionary) or _PREDICTOR.search(dictionary):
        return {"unreadable_objects"}
    file.seek(start + stream.end())
    found: set[str] = set()
    inflating, kept, size = zlib.decompressobj(), b"", 0
    try:
        while not inflating.eof:
            packed = inflating.unconsumed_tail or file.read(_PIECE)
            if not packed:
                return found | {"unreadable_objects"}
            text = kept + inflating.decompress(packed, _PIECE)
            size += len(text) - len(kept)
            if size > _MOST_UNPACKED:
                return found | {"unreadable_objects"}
            found |= _forbidden_in(text)
            kept = text[-_OVERLAP:]
    except zlib.error:
        return found | {"unreadable_objects"}
    return found
