"""A file on its way to a destination: private, counted and hashed while it is written."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from airflow_provider_visma.exceptions import VismaStorageError

_WRITE_BUFFER = 64 * 1024
_WORTH_A_THREAD = 64 * 1024


class StagedFile:
    """A private local file that counts and hashes what is written to it.

    Use it in a ``with``; a block that raises leaves it incomplete, and an incomplete file is never
    published. One thread writes one file.

    :ivar size: bytes written.
    :ivar rows: rows the writer counted, or None where it does not count.
    :ivar header: column names, where the file has any.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.rows: int | None = None
        self.header: tuple[str, ...] | None = None
        self.complete = False
        self._hash = hashlib.sha256()
        # Hashing takes as long as receiving, and both let other threads run: so they take turns no more.
        self._hasher = ThreadPoolExecutor(1, thread_name_prefix="sha256")
        self._hashing: Future[None] | None = None
        self._file = open(path, "xb", buffering=_WRITE_BUFFER, opener=_private)  # noqa: SIM115

    @property
    def name(self) -> str:
        """Name the file will have at the destination."""
        return self.path.name

    @property
    def sha256(self) -> str:
        """Hex digest of what was written."""
        self._wait_for_hash()
        return self._hash.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Append *chunk*."""
        self._wait_for_hash()
        if len(chunk) < _WORTH_A_THREAD:
            self._hash.update(chunk)
        else:
            self._hashing = self._hasher.submit(self._hash.update, chunk)
        self._file.write(chunk)
        self.size += len(chunk)

    def restart(self) -> None:
        """Forget what was written: the source has to be read again from its first byte."""
        self._wait_for_hash()
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.size = 0

    def verify(self) -> None:
        """Check that the file on disk is what was written to it.

        :raises VismaStorageError: it is not.
        """
        if not self.complete:
            raise VismaStorageError(f"{self.name} was not written to its end")
        if self.path.stat().st_size != self.size:
            raise VismaStorageError(f"{self.name} has another size on disk than was written")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._hasher.shutdown()
        self._file.close()
        self.complete = kind is None

    def _wait_for_hash(self) -> None:
        if self._hashing is not None:
            self._hashing.result()
            self._hashing = None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
