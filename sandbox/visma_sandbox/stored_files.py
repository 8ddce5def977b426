"""Export files on disk, some pieces of them repeated: a huge export takes the space of one block."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

READ_SIZE = 1 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a stored file, sent ``times`` times in a row."""

    offset: int
    size: int
    times: int = 1


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What a link leads to.

    :param tag: opaque value that changes with the content; ETags are made of it.
    """

    path: Path
    pieces: tuple[Piece, ...]
    tag: str

    @property
    def size(self) -> int:
        """Bytes to send in all."""
        return sum(piece.size * piece.times for piece in self.pieces)

    def spans(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Offset and count in the stored file of what lies between two positions of what is sent."""
        position = 0
        for piece in self.pieces:
            for number in range(_first_reaching(piece, start - position), piece.times):
                begins = position + number * piece.size
                if begins >= stop:
                    return
                skipped = max(0, start - begins)
                yield piece.offset + skipped, min(piece.size, stop - begins) - skipped
            position += piece.size * piece.times

    async def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The same as bytes, about a mebibyte at a time."""
        with self.path.open("rb", buffering=0) as file:
            for offset, count in self.spans(start, stop):
                end = offset + count
                for at in range(offset, end, READ_SIZE):
                    yield os.pread(file.fileno(), min(READ_SIZE, end - at), at)


def _first_reaching(piece: Piece, distance: int) -> int:
    """Which repetition of the piece holds the byte at a distance from its first one."""
    return piece.times if piece.size == 0 else min(piece.times, max(0, distance // piece.size))
