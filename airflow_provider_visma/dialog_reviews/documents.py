"""A review's document on its way: where it comes from, its private copy, and the last of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Protocol

from airflow_provider_visma.dialog_reviews.review import Review, ReviewUser


class Documents(Protocol):
    """What filing needs of Dialog."""

    def review_user(self, user_id: str) -> ReviewUser | None:
        """Return a user, None where Dialog knows no such one."""

    def download_review(self, review: Review, write: Callable[[bytes], Any], *, max_bytes: int) -> None:
        """Give a review's document to *write*, piece by piece."""


class PrivateCopy(Protocol):
    """A file that was downloaded."""

    @property
    def size(self) -> int:
        """How many bytes it has."""

    @property
    def sha256(self) -> str:
        """Hex digest of its bytes."""

    def write(self, chunk: bytes) -> None:
        """Append *chunk*."""

    def open(self) -> AbstractContextManager[BinaryIO]:
        """Open it for reading, after the last byte was written."""


class Watched:
    """A file that says so before it gives its last bytes away.

    :param before_last: called then; what it raises keeps them back.
    """

    def __init__(self, file: BinaryIO, before_last: Callable[[], None]) -> None:
        self._file = file
        self._before_last = before_last
        self._size = file.seek(0, 2)
        file.seek(0)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position and return it."""
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        piece = self._file.read(size)
        if self._file.tell() >= self._size:
            self._before_last()
        return piece
