"""The bytes of a file inside an HTTP body, at a bounded cost.

A body may be compressed, and a few kilobytes of compressed zeros are gigabytes: what comes out is
bounded by what went in, and in total.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Protocol

from airflow_provider_visma.exceptions import VismaContentError, VismaIncompleteAnswerError

_PIECE = 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_MOST_EXPANSION = 200
# A small body of one repeated value compresses better than that and harms nobody.
_ALWAYS_ALLOWED = 10 * 1024 * 1024


class Decoder(Protocol):
    """Turns pieces of a body into pieces of the file."""

    def feed(self, wire: bytes) -> Iterator[bytes]:
        """Return what *wire* holds."""

    def finish(self) -> None:
        """Check that the file is complete."""


class PlainDecoder:
    """A body that is the file itself.

    :param max_bytes: bytes of the file that are accepted.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._size = 0

    def feed(self, wire: bytes) -> Iterator[bytes]:
        """Return *wire* as it is."""
        self._size += len(wire)
        _check_size(self._size, self._max_bytes)
        yield wire

    def finish(self) -> None:
        """Return: the length was checked where the body was read."""


class GzipDecoder:
    """A body compressed with gzip (RFC 1952), of one or several members.

    :param max_bytes: bytes of the file that are accepted.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._wire = 0
        self._size = 0
        self._member = zlib.decompressobj(_GZIP)

    def feed(self, wire: bytes) -> Iterator[bytes]:
        """Return what *wire* holds, in pieces of at most 1 MiB."""
        self._wire += len(wire)
        while wire:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            try:
                piece = self._member.decompress(wire, _PIECE)
            except zlib.error:
                raise VismaIncompleteAnswerError("the compressed file is damaged") from None
            self._size += len(piece)
            _check_size(self._size, self._max_bytes)
            if self._size > _ALWAYS_ALLOWED + _MOST_EXPANSION * self._wire:
                raise VismaContentError(f"the compressed file expands more than {_MOST_EXPANSION} times")
            wire = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if piece:
                yield piece

    def finish(self) -> None:
        """Check that the last member is complete, checksum included."""
        if not self._member.eof:
            raise VismaIncompleteAnswerError("the compressed file ends too early")


def decoder_for(headers: Mapping[str, str], *, max_bytes: int) -> Decoder:
    """Return the decoder for an answer: whether it was compressed on its way or lies compressed there.

    :param headers: a mapping that ignores the case of its keys.
    :raises VismaContentError: the encoding is none that was asked for.
    """
    encoding = headers.get("Content-Encoding", "").strip().lower()
    content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if encoding in ("gzip", "x-gzip") or content_type in ("application/gzip", "application/x-gzip"):
        return GzipDecoder(max_bytes)
    if encoding not in ("", "identity"):
        raise VismaContentError(f"the file came with the content encoding {encoding[:20]!r}, unasked")
    return PlainDecoder(max_bytes)


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise VismaContentError(f"the file is larger than {max_bytes} bytes")
