"""Files at a destination: whole, or not there."""

from __future__ import annotations

import errno
import fcntl
import gc
import hashlib
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import FrameType
from typing import Any

import fsspec
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach

from airflow_provider_visma.exceptions import VismaContentError, VismaRequestError, VismaStorageError
from airflow_provider_visma.storage import (
    Publication,
    place,
    read_jsonl,
    read_manifest,
    run_folder,
    stage_jsonl,
)


@pytest.fixture(params=["local", "remote"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStoragePath]:
    """A destination on this machine's disk, and one that is reached by uploading."""
    if request.param == "local":
        yield ObjectStoragePath(f"file://{tmp_path}/out/run_id=manual__2026-11-21T02:00:00+00:00")
        return
    remote = fsspec.filesystem("memory")
    attach(protocol="memory", fs=remote)
    yield ObjectStoragePath("memory://bucket/out/run_id=manual__2026-11-21T02:00:00+00:00")
    remote.rm("/", recursive=True)


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    return tmp_path / "staging"


def publish(folder: ObjectStoragePath, staging: Path, **files: bytes) -> dict[str, object]:
    with Publication(folder, staging_dir=staging) as publication:
        for name, body in files.items():
            with publication.stage(name) as staged:
                staged.write(body)
        return publication.publish({"kind": "test"})


def visible(folder: ObjectStoragePath) -> list[str]:
    return sorted(Path(path).name for path in folder.fs.find(folder.path)) if folder.exists() else []


def leftovers(*places: Path) -> list[Path]:
    return [path for place in places for path in place.rglob("*visma-staging*")]


def test_the_manifest_tells_what_is_there(folder: ObjectStoragePath, staging: Path) -> None:
    with Publication(folder, staging_dir=staging) as publication:
        with publication.stage("b.csv") as staged:
            staged.write(b"a\n")
            staged.write(b"1\n")
            staged.rows = 1
        assert stage_jsonl(publication, "a.jsonl", [{"naam": "Zoë"}, {"naam": None}]) == 2
        manifest = publication.publish({"kind": "test"})
    assert manifest == read_manifest(folder)
    assert manifest["uri"] == str(folder)
    assert (manifest["kind"], manifest["rows"], manifest["bytes"]) == ("test", 3, 4 + 30)
    assert [file["uri"] for file in manifest["files"]] == [str(folder / "a.jsonl"), str(folder / "b.csv")]
    assert manifest["files"][1] == {
        "uri": str(folder / "b.csv"),
        "bytes": 4,
        "rows": 1,
        "sha256": hashlib.sha256(b"a\n1\n").hexdigest(),
    }
    assert ObjectStoragePath(manifest["files"][1]["uri"]).read_bytes() == b"a\n1\n"
    assert list(read_jsonl(folder / "a.jsonl")) == [{"naam": "Zoë"}, {"naam": None}]


def test_rows_are_not_told_where_one_file_has_no_count(folder: ObjectStoragePath, staging: Path) -> None:
    manifest = publish(folder, staging, a=b"1")
    assert "rows" not in manifest


def test_nothing_is_visible_before_publishing_and_staging_is_gone_after(
    folder: ObjectStoragePath, staging: Path, tmp_path: Path
) -> None:
    with Publication(folder, staging_dir=staging) as publication:
        with publication.stage("a") as staged:
            staged.write(b"1")
        assert not (folder / "a").exists()
        (directory,) = leftovers(tmp_path)
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert stat.S_IMODE(staged.path.stat().st_mode) == 0o600
        publication.publish({})
    assert visible(folder) == ["_manifest.json", "a"]
    assert leftovers(tmp_path) == []


def test_a_failure_leaves_nothing(folder: ObjectStoragePath, staging: Path, tmp_path: Path) -> None:
    def fail() -> None:
        with Publication(folder, staging_dir=staging) as publication:
            with publication.stage("a") as staged:
                staged.write(b"1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert visible(folder) == []
    assert leftovers(tmp_path) == []


def test_a_file_whose_writer_failed_is_not_published(folder: ObjectStoragePath, staging: Path) -> None:
    def fail(publication: Publication) -> None:
        with publication.stage("a") as staged:
            staged.write(b"1")
            raise RuntimeError

    with Publication(folder, staging_dir=staging) as publication:
        with pytest.raises(RuntimeError):
            fail(publication)
        with pytest.raises(VismaStorageError, match="not written to its end"):
            publication.publish({})
    assert visible(folder) == []


def test_a_file_that_changed_on_disk_is_not_published(folder: ObjectStoragePath, staging: Path) -> None:
    with Publication(folder, staging_dir=staging) as publication:
        with publication.stage("a") as staged:
            staged.write(b"123")
        staged.path.write_bytes(b"1")
        with pytest.raises(VismaStorageError, match="another size"):
            publication.publish({})
    assert visible(folder) == []


def test_a_rerun_writes_the_same_keys_and_removes_what_it_no_longer_has(
    folder: ObjectStoragePath, staging: Path
) -> None:
    publish(folder, staging, a=b"old", b=b"old")
    (folder / "somebody-elses").write_bytes(b"stays")
    publish(folder, staging, a=b"new")
    assert visible(folder) == ["_manifest.json", "a", "somebody-elses"]
    assert (folder / "a").read_bytes() == b"new"


def test_where_a_file_that_is_no_longer_wanted_stays_there_is_no_manifest(
    folder: ObjectStoragePath, staging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(folder, staging, a=b"old", b=b"old")
    remove = type(folder.fs).rm_file

    def stuck(self: object, path: str) -> None:
        if path.endswith("/b"):
            raise OSError(5, "Input/output error")
        remove(self, path)

    monkeypatch.setattr(type(folder.fs), "rm_file", stuck)
    with pytest.raises(VismaStorageError, match="No manifest was written"):
        publish(folder, staging, a=b"new")
    assert read_manifest(folder) is None


def test_a_reader_never_finds_an_old_manifest_beside_new_files(
    folder: ObjectStoragePath, staging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(folder, staging, a=b"old", b=b"old")
    manifests = []
    place = Publication._place

    def watched(self: Publication, file: object) -> None:
        manifests.append(read_manifest(folder))
        place(self, file)  # type: ignore[arg-type]

    monkeypatch.setattr(Publication, "_place", watched)
    publish(folder, staging, a=b"new", b=b"new")
    assert manifests == [None, None, None]


def test_a_destination_that_fails_is_a_transient_error_without_a_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ObjectStoragePath(f"file://{tmp_path}/out")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(VismaStorageError, match="No space left"):
        publish(folder, tmp_path, a=b"1")
    assert visible(folder) == []


def test_a_place_that_cannot_be_written_to_is_said_before_anything_is_begun(
    folder: ObjectStoragePath, tmp_path: Path
) -> None:
    (tmp_path / "out").touch()  # where the folder would be, or is staged
    with pytest.raises(VismaStorageError, match=r"out.*nothing can be written to .*Look whether the worker"):
        publish(folder, tmp_path / "out", rows=b"1")
    assert visible(folder) == []


def test_published_files_are_as_readable_as_their_folder(tmp_path: Path) -> None:
    folder = ObjectStoragePath(f"file://{tmp_path}/out")
    folder.mkdir()
    (tmp_path / "out").chmod(0o750)
    publish(folder, tmp_path, a=b"1")
    assert stat.S_IMODE((tmp_path / "out" / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".hidden", "_manifest.json", "a\n", "-a"])
def test_only_plain_names_are_staged(folder: ObjectStoragePath, staging: Path, name: str) -> None:
    with Publication(folder, staging_dir=staging) as publication, pytest.raises(ValueError, match="plain"):
        publication.stage(name)


def test_a_name_is_staged_once(folder: ObjectStoragePath, staging: Path) -> None:
    with Publication(folder, staging_dir=staging) as publication:
        publication.stage("a")
        with pytest.raises(ValueError, match="already"):
            publication.stage("a")


def test_a_discarded_file_is_not_published(folder: ObjectStoragePath, staging: Path) -> None:
    with Publication(folder, staging_dir=staging) as publication:
        with publication.stage("step") as step:
            step.write(b"1")
        publication.discard(step)
        publication.publish({})
    assert visible(folder) == ["_manifest.json"]


def test_files_may_be_staged_by_several_threads(folder: ObjectStoragePath, staging: Path) -> None:
    def write(number: int) -> None:
        with publication.stage(f"part-{number}") as staged:
            for _ in range(50):
                staged.write(bytes([number]) * 1000)

    with Publication(folder, staging_dir=staging) as publication:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(8)))
        manifest = publication.publish({})
    assert [file["bytes"] for file in manifest["files"]] == [50_000] * 8


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"'])
def test_a_damaged_manifest_is_an_error_to_a_reader_and_no_obstacle_to_a_rerun(
    folder: ObjectStoragePath, staging: Path, text: str
) -> None:
    folder.fs.makedirs(folder.path, exist_ok=True)
    folder.fs.pipe_file((folder / "_manifest.json").path, text.encode())
    with pytest.raises(VismaContentError):
        read_manifest(folder)
    publish(folder, staging, a=b"1")
    assert (read_manifest(folder) or {})["kind"] == "test"


@pytest.mark.parametrize("address", ["", None, "visma/out", "file://visma/out", "~/out"])
def test_a_place_that_is_another_on_every_worker_is_none(address: Any) -> None:
    with pytest.raises(VismaRequestError, match=r"empty, or relative.*file:///data/visma"):
        run_folder(address, "projects", run_id="run")


@pytest.mark.parametrize("scheme", ["nofs", "s3x"])
def test_an_address_for_which_nothing_is_installed_is_said_by_its_beginning(scheme: str) -> None:
    with pytest.raises(VismaRequestError, match=f"begin with {scheme}://") as caught:
        place(f"{scheme}://user:secret@host/out")
    assert "secret" not in str(caught.value)


def test_there_is_no_manifest_where_nothing_was_published(folder: ObjectStoragePath) -> None:
    assert read_manifest(folder) is None


def test_the_publication_of_somebody_who_still_lives_is_not_cleaned_up(
    folder: ObjectStoragePath, staging: Path
) -> None:
    with Publication(folder, staging_dir=staging) as slow:
        with slow.stage("a") as staged:
            staged.write(b"slow")
        publish(folder, staging, a=b"quick")
        slow.publish({})
    assert (folder / "a").read_bytes() == b"slow"


@pytest.mark.parametrize("nfs", [True, False])
def test_a_file_system_with_other_locks_or_none_is_published_to_as_well(
    nfs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ObjectStoragePath(f"file://{tmp_path}/out")
    flock = fcntl.flock

    def locked(descriptor: int, operation: int) -> None:
        if not nfs:
            raise OSError(errno.ENOLCK, "No locks available")
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDWR:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", locked)
    with Publication(folder) as living:
        with living.stage("a") as staged:
            staged.write(b"1")
        publish(folder, tmp_path, b=b"2")
        living.publish({})
    assert leftovers(tmp_path) == []
    assert (folder / "a").read_bytes() == b"1"


def test_a_thread_may_publish(folder: ObjectStoragePath, staging: Path) -> None:
    thread = threading.Thread(target=publish, args=(folder, staging), kwargs={"a": b"1"})
    thread.start()
    thread.join()
    assert visible(folder) == ["_manifest.json", "a"]


OURS = ("airflow_provider_visma/storage.py", "airflow_provider_visma/staged_file.py")


def publish_and_stop(
    folder: ObjectStoragePath, staging: Path, line: int, tell: Connection
) -> None:  # pragma: no cover - runs in a process of its own
    """Publish two files, and stand still at the nth line of storage.py and staged_file.py."""
    gc.disable()  # this process has its parent's garbage, and a finalizer would swallow the SystemExit
    signal.signal(signal.SIGTERM, lambda signum, frame: tell.send("on_kill"))
    seen = 0

    def trace(frame: FrameType, event: str, arg: object) -> object:
        nonlocal seen
        if frame.f_code.co_filename.endswith(OURS):
            seen += 1
            if seen == line:
                tell.send("here")
                while True:  # in small steps: a signal that comes just before a sleep does not end it
                    time.sleep(0.01)
        return trace

    with Publication(folder, staging_dir=staging) as publication:
        sys.settrace(trace)
        for name in ("a", "b"):
            with publication.stage(name) as staged:
                staged.write(b"1" * 100)
        publication.publish({})
        sys.settrace(None)
    tell.send("done")


def started(folder: ObjectStoragePath, staging: Path, line: int) -> tuple[ForkProcess, Connection]:
    context = get_context("fork")
    listen, tell = context.Pipe(duplex=False)
    process = context.Process(target=publish_and_stop, args=(folder, staging, line, tell))
    process.start()
    tell.close()
    return process, listen


@pytest.mark.parametrize("line", range(2, 202, 8))
def test_sigterm_at_any_moment_leaves_nothing_staged_and_tells_airflow(
    folder: ObjectStoragePath, tmp_path: Path, line: int
) -> None:
    process, listen = started(folder, tmp_path / "staging", line)
    assert listen.recv() == "here"
    assert process.pid
    os.kill(process.pid, signal.SIGTERM)
    process.join(20)
    assert process.exitcode == 128 + signal.SIGTERM
    assert listen.recv() == "on_kill"
    assert leftovers(tmp_path) == []
    manifest = read_manifest(folder)
    assert manifest is None or all(ObjectStoragePath(file["uri"]).exists() for file in manifest["files"])


def test_what_a_killed_worker_left_is_removed_by_the_next_publication(
    folder: ObjectStoragePath, staging: Path, tmp_path: Path
) -> None:
    process, listen = started(folder, staging, 40)
    assert listen.recv() == "here"
    process.kill()
    process.join(20)
    assert len(leftovers(tmp_path)) == 1
    publish(folder, staging, a=b"1")
    assert leftovers(tmp_path) == []
    assert visible(folder) == ["_manifest.json", "a"]
