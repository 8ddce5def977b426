"""Small JSON objects that are written once, whole, and carry their own hash.

Nobody ever reads half of one, and of two writers of the same name one is refused.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_visma.exceptions import VismaContentError
from airflow_provider_visma.stores import as_now, content, store_errors

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_AT_ONCE = 200
_FAILED = {
    "problem": "the ledger cannot be read or written",
    "advice": "A retry goes on where the ledger ends.",
}
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS})


def create(path: ObjectStoragePath, members: Mapping[str, Any]) -> None:
    """Write an object that is not there yet.

    :param members: JSON values.
    :raises FileExistsError: it is there.
    :raises VismaError: the store failed or refuses.
    """
    from fsspec.implementations.local import LocalFileSystem

    # The mark tells this writing from one of the same content by somebody else.
    body = json.dumps(members, separators=(",", ":")).encode() + b"\n" + uuid.uuid4().hex.encode()
    document = body + b" " + hashlib.sha256(body).hexdigest().encode() + b"\n"
    taken = False
    with store_errors(path.parent, **_FAILED):
        try:
            if isinstance(path.fs, LocalFileSystem):
                _create_local(Path(path.path), document)
            else:
                _create_remote(path, document)
        except FileExistsError:
            taken = True
    if taken:
        raise FileExistsError(path.path)


def read(path: ObjectStoragePath) -> dict[str, Any]:
    """Return the content of an object.

    :raises VismaContentError: it is not what was written.
    """
    as_now(path)
    return next(read_all(path.parent, [path.name]))


def read_all(folder: ObjectStoragePath, names: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the contents of objects in order, many of them fetched at the same time.

    :param names: as :func:`names` gave them: an object is no other than when it was listed.
    :raises VismaContentError: one is not what was written.
    """
    wanted = list(names)
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        paths = [(folder / name).path for name in part]
        with store_errors(folder, **_FAILED):
            documents = folder.fs.cat_ranges(paths, None, None, on_error="raise")
        for name, document in zip(part, documents, strict=True):
            yield _members(document, folder / name)


def names(folder: ObjectStoragePath) -> list[str]:
    """Return the names of all objects in *folder*, as the store has them now."""
    with store_errors(folder, **_FAILED):
        folder.fs.invalidate_cache(folder.path)
        try:
            paths = folder.fs.ls(folder.path, detail=False)
        except FileNotFoundError:
            return []
    return [str(path).rstrip("/").rsplit("/", 1)[-1] for path in paths]


def exists(path: ObjectStoragePath) -> bool:
    """Return whether the object is there, as the store has it now."""
    with store_errors(path.parent, **_FAILED):
        return bool(as_now(path).exists(path.path))


def _create_local(path: Path, document: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(error.errno, "its folder is a file") from None
    descriptor, temporary = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
        # As readable as the folder; unlike a rename, a link refuses to replace.
        os.chmod(temporary, path.parent.stat().st_mode & 0o666)
        os.link(temporary, path)
        # The name too has to outlive a machine that loses power, before a row is sent on its word.
        for folder in (path.parent, path.parent.parent):
            _sync(folder)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Mounted object stores have no links. A kill in here leaves half an object, which its hash tells.
        with open(path, "xb") as file:
            file.write(document)
    finally:
        os.unlink(temporary)


def _sync(folder: Path) -> None:
    with suppress(OSError):  # mounted stores that cannot have written by now
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _create_remote(path: ObjectStoragePath, document: bytes) -> None:
    # Object stores write one object whole; "create" makes them refuse a second writer.
    try:
        path.fs.pipe_file(path.path, document, mode="create")
    except Exception as refused:
        # A request that the store's client repeats meets what its first attempt wrote, and not every store
        # says "exists" in the way that its client knows.
        try:
            held = content(path)
        except Exception:
            raise refused from refused.__cause__  # which holds the store's own code
        if held != document:
            raise FileExistsError(path.path) from None


def _members(document: bytes, path: ObjectStoragePath) -> dict[str, Any]:
    body, _, digest = document.rstrip(b"\n").rpartition(b" ")
    members = None
    if hashlib.sha256(body).hexdigest().encode() == digest:
        members = json.loads(body.rpartition(b"\n")[0])
    if not isinstance(members, dict):
        raise VismaContentError(
            f"{path.name} of the ledger is damaged, so nobody knows what was sent",
            operation=str(path.parent),
            advice="Nothing was sent. Bring the object back from the store's versions or a backup. An "
            "outcome that is lost may be deleted: what it told is in doubt then.",
        )
    return members
