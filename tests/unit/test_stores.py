"""Stores whose client keeps listings, as s3fs does, and what stores refuse."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.io import attach
from airflow.sdk.io import store as attached
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_visma.exceptions import (
    VismaConnectionConfigError,
    VismaError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaStorageError,
)
from airflow_provider_visma.storage import Publication, read_jsonl, read_manifest, stage_jsonl
from airflow_provider_visma.stores import store_error
from airflow_provider_visma.upload_ledger import write_once


class ListingStore(MemoryFileSystem):
    """Answers from a folder's listing, once it has one, whether a file is there and how long it is."""

    protocol = "listing"
    cachable = False

    def _listed(self, path: str) -> Any:
        path = self._strip_protocol(path)
        listing = self.dircache.get(self._parent(path))
        if listing is not None and path not in listing:
            raise FileNotFoundError(path)
        return listing[path] if listing else None

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        path = self._strip_protocol(path)
        if path not in self.dircache:
            self.dircache[path] = {each["name"]: each for each in super().ls(path, detail=True)}
        return list(self.dircache[path].values() if detail else self.dircache[path])

    def info(self, path: str, **kwargs: Any) -> Any:
        return self._listed(path) or super().info(path)

    def cat_file(self, path: str, start: Any = None, end: Any = None, **kwargs: Any) -> bytes:
        length = self.info(path)["size"]
        with MemoryFileSystem._open(self, self._strip_protocol(path)) as file:
            return bytes(file.read(length))

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        if mode == "rb":
            self.info(path)
        return super()._open(path, mode, **kwargs)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        path = self._strip_protocol(path)
        if mode == "create" and path in self.store:
            raise FileExistsError(path)
        self.others_write(path, value)
        self.invalidate_cache(self._parent(path))

    def others_write(self, path: str, value: bytes) -> None:
        MemoryFileSystem.pipe_file(self, self._strip_protocol(path), value)

    def invalidate_cache(self, path: str | None = None) -> None:
        self.dircache.pop(self._strip_protocol(path or ""), None)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ListingStore]:
    monkeypatch.setattr(attached, "_STORE_CACHE", {})
    store = ListingStore()
    attach(protocol="memory", fs=store)
    yield store
    store.store.clear()
    store.pseudo_dirs[:] = [""]


@pytest.fixture
def folder(store: ListingStore) -> ObjectStoragePath:
    """A folder with a file, that somebody in this process has listed."""
    folder = ObjectStoragePath("memory://bucket/folder")
    store.others_write((folder / "rows.jsonl").path, b'{"row": 1}\n')
    store.ls(folder.path)
    return folder


def test_a_manifest_of_another_process_is_seen(store: ListingStore, folder: ObjectStoragePath) -> None:
    store.others_write((folder / "_manifest.json").path, b'{"rows": 1}')
    assert read_manifest(folder) == {"rows": 1}


def test_an_earlier_manifest_goes_before_its_files_are_overwritten(
    store: ListingStore, folder: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.others_write((folder / "_manifest.json").path, b'{"files": []}')

    def full(*arguments: Any, **more: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(store, "put_file", full)
    with Publication(folder) as publication:
        stage_jsonl(publication, "rows.jsonl", [{}])
        with pytest.raises(VismaStorageError, match="full"):
            publication.publish({})
    assert read_manifest(folder) is None


def test_rows_that_another_process_wrote_are_read(store: ListingStore, folder: ObjectStoragePath) -> None:
    store.others_write((folder / "more.jsonl").path, b'{"row": 2}\n')
    assert list(read_jsonl(folder / "more.jsonl")) == [{"row": 2}]


def test_an_object_of_a_ledger_that_another_process_wrote_is_read(
    store: ListingStore, folder: ObjectStoragePath
) -> None:
    write_once.create(folder / "1.json", {"rows": [1]})
    document = store.cat_file((folder / "1.json").path)
    write_once.names(folder)
    store.others_write((folder / "2.json").path, document)
    assert write_once.read(folder / "2.json") == {"rows": [1]}


def test_a_repeated_request_meets_its_own_object(
    store: ListingStore, folder: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    def repeated(path: str, value: bytes, mode: str = "overwrite") -> None:
        store.others_write(path, value)
        raise FileExistsError(path)

    monkeypatch.setattr(store, "pipe_file", repeated)
    write_once.create(folder / "1.json", {"rows": [1]})
    assert write_once.read(folder / "1.json") == {"rows": [1]}


class ClientError(Exception):
    """As botocore raises it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.response = {"Error": {"Code": code}}


class HttpResponseError(Exception):
    """As Azure's client raises it."""

    error_code = "AuthorizationFailure"


class NoCredentialsError(Exception):
    """As botocore raises it."""


class CredentialRetrievalError(Exception):
    """As botocore raises it, of a machine's own service that hands out credentials."""


def caused(error: Exception, code: str) -> Exception:
    error.__cause__ = ClientError(code)
    return error


REFUSALS: list[tuple[Exception, type[VismaError], str]] = [
    (
        caused(PermissionError("no"), "AccessDenied"),
        VismaPermissionError,
        r"\[AccessDenied\]\. See that the con",
    ),
    (PermissionError("no"), VismaPermissionError, "read, write and delete"),
    (OSError("Forbidden: bucket"), VismaPermissionError, "read, write and delete"),
    (HttpResponseError("no"), VismaPermissionError, "read, write and delete"),
    (NoCredentialsError("none"), VismaPermissionError, "NoCredentialsError"),
    (CredentialRetrievalError("timed out"), VismaStorageError, "Again"),
    (caused(PermissionError("old"), "ExpiredToken"), VismaStorageError, r"\[ExpiredToken\]\. Again"),
    (caused(PermissionError("late"), "RequestTimeTooSkewed"), VismaStorageError, "Again"),
    (
        AirflowNotFoundException("none"),
        VismaConnectionConfigError,
        "See that the connection hr_store exists",
    ),
    (caused(FileNotFoundError("no"), "NoSuchBucket"), VismaNotFoundError, "bucket or container data,"),
    (FileNotFoundError("data/x"), VismaNotFoundError, "bucket or container data,"),
    (FileNotFoundError(2, "gone", "/tmp/visma/rows"), VismaStorageError, "FileNotFoundError: gone"),
    (caused(OSError(errno.EIO, "moved"), "PermanentRedirect"), VismaRequestError, "region and endpoint"),
    (caused(OSError(errno.EBUSY, "slow"), "SlowDown"), VismaStorageError, r"slow\) \[SlowDown\]\. Again"),
    (ClientError("InternalError"), VismaStorageError, r"\[InternalError\]"),
    (TimeoutError(), VismaStorageError, "TimeoutError"),
]


@pytest.mark.parametrize(("error", "kind", "told"), REFUSALS, ids=lambda value: str(value)[:30])
def test_what_a_store_refuses_says_who_must_act(error: Exception, kind: type[VismaError], told: str) -> None:
    path = ObjectStoragePath("s3://hr_store@data/folder")
    found = store_error(error, path, problem="it failed", advice="Again.")
    assert type(found) is kind
    assert found.conn_id == "hr_store"
    with pytest.raises(
        kind, match=rf"(?s)^s3://hr_store@data/folder \(connection hr_store\): it failed.*{told}"
    ):
        raise found


def test_an_object_that_may_not_be_written_is_told_with_the_stores_own_code(
    store: ListingStore, folder: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*arguments: Any, **more: Any) -> None:
        raise caused(PermissionError("no"), "AccessDenied")

    monkeypatch.setattr(store, "pipe_file", refusing)
    with pytest.raises(VismaPermissionError, match=r"\[AccessDenied\]"):
        write_once.create(folder / "1.json", {"rows": [1]})
