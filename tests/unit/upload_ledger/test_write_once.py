"""Objects that are written once, in stores that repeat requests and refuse in their own ways."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach

from airflow_provider_visma.exceptions import VismaStorageError
from airflow_provider_visma.upload_ledger import write_once


@pytest.fixture
def path() -> Iterator[ObjectStoragePath]:
    store = fsspec.filesystem("memory")
    attach(protocol="memory", fs=store)
    yield ObjectStoragePath("memory://bucket/ledger/000001.intent.json")
    if store.exists("/bucket"):
        store.rm("/bucket", recursive=True)


def answering(
    path: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch, error: OSError, *, stores: bool
) -> None:
    """Let the store fail, having stored the object or not."""
    pipe_file = path.fs.pipe_file

    def failing(where: str, document: bytes, **arguments: Any) -> None:
        if stores:
            pipe_file(where, document)
        raise error

    monkeypatch.setattr(path.fs, "pipe_file", failing)


REFUSALS = [FileExistsError("there"), OSError(errno.EINVAL, "precondition failed")]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
def test_a_repeated_request_that_meets_its_own_object_has_succeeded(
    path: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    answering(path, monkeypatch, error, stores=True)
    write_once.create(path, {"rows": [1]})
    assert write_once.read(path) == {"rows": [1]}


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
def test_the_same_content_by_another_writer_is_not_ones_own(
    path: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    write_once.create(path, {"rows": [1]})
    answering(path, monkeypatch, error, stores=False)
    with pytest.raises(FileExistsError):
        write_once.create(path, {"rows": [1]})


def test_a_store_that_fails_is_a_passing_error(
    path: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(path, monkeypatch, OSError(errno.EIO, "no"), stores=False)
    with pytest.raises(VismaStorageError, match=r"OSError: no.*A retry goes on where the ledger ends"):
        write_once.create(path, {"rows": [1]})


def test_a_file_system_without_links_refuses_a_second_writer_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr("os.link", no_links)
    local = ObjectStoragePath(f"file://{tmp_path}/ledger/000001.intent.json")
    write_once.create(local, {"rows": [1]})
    with pytest.raises(FileExistsError):
        write_once.create(local, {"rows": [2]})
    assert write_once.read(local) == {"rows": [1]}
    assert write_once.names(local.parent) == [local.name]


def test_an_objects_name_is_on_the_disk_before_its_row_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", noting)
    write_once.create(ObjectStoragePath(f"file://{tmp_path}/ledger/000001.intent.json"), {"rows": [1]})
    assert synced[1:] == [(tmp_path / "ledger").stat().st_ino, tmp_path.stat().st_ino]


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def files_only(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not of folders")
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", files_only)
    local = ObjectStoragePath(f"file://{tmp_path}/ledger/000001.intent.json")
    write_once.create(local, {"rows": [1]})
    assert write_once.read(local) == {"rows": [1]}
