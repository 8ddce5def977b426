"""What was published before and what comes now, by key: on disk, because it may be a million rows.

A row is dropped only where the very same was published before. Of each row the index holds its key and
a keyed digest, so that it tells nothing of a row whose file was removed long ago.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from airflow_provider_visma.exceptions import VismaStorageError

_DIGEST_BYTES = 16
_CACHE_KIB = 2048
_Row = TypeVar("_Row", bound=Mapping[str, Any])
_KEY_TEXT = json.JSONEncoder(default=str).encode


class RowIndex:
    """The rows of one read, beside those that were published before.

    Use it in a ``with``, which ends in a VismaStorageError where the disk fails. Its file has no name, so it
    is gone however the process ends.

    :param key: columns that together tell rows apart; none where nothing does.
    :param secret: key of the digests; the same for an index and the next.
    :ivar received: rows that came.
    :ivar repeated: rows left out because they were published before and are still the same.
    :ivar duplicates: rows left out because the same one came already.
    :ivar conflicting: rows that came again with other values. All are passed on, the later one later.
    :ivar without_key: rows that have no value in a column of the key; all are passed on.
    """

    def __init__(self, key: Sequence[str], *, secret: bytes) -> None:
        self.received = self.repeated = self.duplicates = self.conflicting = self.without_key = 0
        self._key = tuple(key)
        self._digest = hashlib.blake2b(key=secret, digest_size=_DIGEST_BYTES)

    def __enter__(self) -> Self:
        # The empty name is SQLite's own: a file in the directory for temporary files, unlinked when opened.
        self._file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for setting in ("journal_mode=OFF", "synchronous=OFF", "secure_delete=OFF", "temp_store=FILE"):
            self._file.execute(f"PRAGMA {setting}")
        self._file.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        self._file.execute("CREATE TABLE row (key TEXT PRIMARY KEY, before BLOB, now BLOB) WITHOUT ROWID")
        self._file.execute("BEGIN")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if isinstance(error, sqlite3.OperationalError):
            raise VismaStorageError(
                f"rows could not be compared on the worker's disk ({error})",
                advice="Nothing was published. Look whether the directory for temporary files has room"
                " (SQLITE_TMPDIR, else TMPDIR).",
            ) from error

    def remember(self, lines: Iterable[bytes]) -> None:
        """Take an earlier index; of two that name the same row, the one taken first counts.

        :param lines: as :meth:`lines` gave them.
        :raises ValueError: one of them is damaged.
        """
        self._file.executemany(
            "INSERT OR IGNORE INTO row (key, before) VALUES (?, ?)",
            map(_parts, lines),
        )

    def new_rows(self, rows: Iterable[_Row], *, drop_repeats: bool) -> Iterator[_Row]:
        """Yield *rows* as they come, without those that came already.

        :param drop_repeats: leave out too what was published before and is still the same.
        """
        execute = self._file.execute
        for row in rows:
            self.received += 1
            key = self._key_of(row)
            if key is None:
                self.without_key += bool(self._key)
                yield row
                continue
            digest = self._digest_of(row)
            before, now = execute("SELECT before, now FROM row WHERE key = ?", (key,)).fetchone() or (
                None,
                None,
            )
            if now == digest:
                self.duplicates += 1
                continue
            execute(
                "INSERT INTO row (key, now) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET now = excluded.now",
                (key, digest),
            )
            if now is not None:
                self.conflicting += 1
            elif drop_repeats and before == digest:
                self.repeated += 1
                continue
            yield row

    def missed(self, rows: Iterable[_Row]) -> Iterator[_Row]:
        """Yield *rows* of a second reading that the first did not bring."""
        execute = self._file.execute

        def came(row: _Row) -> bool:
            found = execute("SELECT now FROM row WHERE key = ?", (self._key_of(row),)).fetchone()
            return found is not None and found[0] is not None

        return self.new_rows((row for row in rows if not came(row)), drop_repeats=False)

    def missing(self) -> int:
        """Return how many rows of an earlier index did not come."""
        return int(self._file.execute("SELECT count(*) FROM row WHERE now IS NULL").fetchone()[0])

    def gone(self) -> Iterator[dict[str, Any]]:
        """Yield the keys of an earlier index that did not come."""
        for (key,) in self._file.execute("SELECT key FROM row WHERE now IS NULL ORDER BY key"):
            yield dict(zip(self._key, json.loads(key), strict=True))

    def lines(self, *, carry: bool) -> Iterator[bytes]:
        """Yield the index for the next read.

        :param carry: name also what was known before and did not come.
        """
        chosen = "" if carry else "WHERE now IS NOT NULL"
        query = f"SELECT key, coalesce(now, before) FROM row {chosen} ORDER BY key"  # noqa: S608
        for key, digest in self._file.execute(query):
            yield f"{key}\t{digest.hex()}\n".encode()

    def _key_of(self, row: Mapping[str, Any]) -> str | None:
        values = [row.get(column) for column in self._key]
        return _KEY_TEXT(values) if values and None not in values else None

    def _digest_of(self, row: Mapping[str, Any]) -> bytes:
        # Severa may write what is null as nil or leave it out; the row is the same. Its order is the
        # contract's, and repr is exact and three times as fast as JSON.
        digest = self._digest.copy()
        digest.update(repr([item for item in row.items() if item[1] is not None]).encode())
        return digest.digest()


def _parts(line: bytes) -> tuple[str, bytes]:
    key, _, digest = line.decode().rstrip("\n").partition("\t")
    if len(digest) != 2 * _DIGEST_BYTES:
        raise ValueError("a line of the index breaks off")
    return key, bytes.fromhex(digest)
