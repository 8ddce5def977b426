"""Files at a destination: published whole, or not at all.

Stage, verify, publish, and the manifest last. Whoever reads a folder reads its ``_manifest.json`` first:
no manifest, no files. A re-run of the same publication writes the same keys again.

Airflow's ``ObjectStoragePath.open("wb")`` publishes a truncated object when the writer fails half-way,
so nothing here is ever written to its final place: a local destination gets a rename within its own
file system, any other one an upload of a complete private file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaError,
    VismaRequestError,
    VismaStorageError,
)
from airflow_provider_visma.staged_file import StagedFile
from airflow_provider_visma.stores import (
    as_now,
    content,
    in_parts,
    lacks_container,
    lines,
    store_error,
    store_errors,
)

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

MANIFEST_NAME = "_manifest.json"

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]*")
_CLAIM = ".claim"


class Publication:
    """Files that become visible in *folder* together, or not at all.

    Leaving the ``with`` removes everything that was staged: after success, after an error, and on
    SIGTERM, where Airflow itself only calls ``on_kill`` and lets the task run on until SIGKILL. What a
    killed worker (SIGKILL) left behind is removed by the next publication to the same folder.

    :param folder: where the files belong, e.g. ``s3://conn@bucket/hrm/employees/run_id=…``.
    :param staging_dir: directory with room for all files until they are uploaded, for a destination that
        is not local. Default: the system's directory for temporary files. A local destination is
        always staged in *folder* itself, since a rename cannot cross file systems.
    """

    def __init__(self, folder: ObjectStoragePath, *, staging_dir: Path | None = None) -> None:
        self.folder = folder
        self._local = _local_directory(folder)
        self._staging_parent = self._local or staging_dir or Path(tempfile.gettempdir())
        # The folder's name in the prefix tells our leftovers from those of other destinations.
        self._prefix = f".visma-staging-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}-"
        self._staged: dict[str, StagedFile] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if self._local is None:
            self._check_reachable()
        try:
            self._staging_parent.mkdir(parents=True, exist_ok=True)
            self._remove_leftovers()
            self._directory, self._claim = self._claimed_directory()
        except OSError as error:
            raise VismaStorageError(
                f"nothing can be written to {self._staging_parent}"
                f" ({type(error).__name__}: {error.strerror or 'failed'})",
                operation=str(self.folder),
                advice="Nothing was begun. Look whether the worker may write there and has room.",
            ) from error
        self._main_thread = threading.current_thread() is threading.main_thread()
        if self._main_thread:
            self._previous_handler = signal.signal(signal.SIGTERM, self._terminate)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            _remove(self._directory, self._claim)
        finally:
            if self._main_thread:
                signal.signal(signal.SIGTERM, self._previous_handler)

    def stage(self, name: str) -> StagedFile:
        """Open a private file that will be published as *name*; may be called from any thread."""
        if not _FILE_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a plain file name")
        with self._lock:
            if name in self._staged:
                raise ValueError(f"{name} is staged already")
            staged = StagedFile(self._directory / name)
            self._staged[name] = staged
        return staged

    def rename(self, staged: StagedFile, name: str) -> None:
        """Let a file that is complete be published as *name* instead."""
        if not _FILE_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a plain file name")
        with self._lock:
            if name in self._staged:
                raise ValueError(f"{name} is staged already")
            del self._staged[staged.name]
            staged.path = staged.path.rename(staged.path.with_name(name))
            self._staged[name] = staged

    def discard(self, staged: StagedFile) -> None:
        """Drop a staged file: it was only a step to another one."""
        with self._lock:
            del self._staged[staged.name]
        staged.path.unlink()

    def publish(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Verify all files, put them in place, and write the manifest last.

        :param manifest: what to say about the files, JSON values only; ``uri``, ``bytes``, ``rows`` (where
            every file has a count) and ``files`` are added.
        :return: the manifest as written.
        :raises VismaStorageError: a file is not what was written to it, or the destination failed.
        """
        staged = sorted(self._staged.values(), key=lambda file: file.name)
        for file in staged:
            file.verify()
        written: dict[str, Any] = {
            **manifest,
            "uri": str(self.folder),
            "bytes": sum(file.size for file in staged),
            "files": [self._entry(file) for file in staged],
        }
        if "rows" not in manifest and staged and all(file.rows is not None for file in staged):
            written["rows"] = sum(file.rows or 0 for file in staged)
        try:
            earlier = self._withdraw_earlier()
            for file in staged:
                self._place(file)
            self._remove_stale(earlier - {file.name for file in staged})
            with StagedFile(self._directory / MANIFEST_NAME) as manifest_file:
                manifest_file.write(json.dumps(written, ensure_ascii=False, indent=1).encode())
            self._place(manifest_file)
        except VismaError:
            raise
        except Exception as error:
            raise store_error(
                error,
                self.folder,
                problem="the files could not be published",
                advice="No manifest was written, so nobody reads them; a retry writes the same files again.",
            ) from error
        _report_lineage(self.folder)
        return written

    def _entry(self, file: StagedFile) -> dict[str, Any]:
        entry = {"uri": str(self.folder / file.name), "bytes": file.size, "sha256": file.sha256}
        return entry if file.rows is None else {**entry, "rows": file.rows}

    def _place(self, file: StagedFile) -> None:
        if self._local is not None:
            # As readable as the folder it lands in; its owner decides that, not this process's umask.
            file.path.chmod(self._local.stat().st_mode & 0o666)
            file.path.replace(self._local / file.name)
            return
        target = self.folder / file.name
        target.fs.put_file(str(file.path), target.path, **in_parts(target.fs, file.size))
        if as_now(target).size(target.path) != file.size:
            raise VismaStorageError(
                f"{file.name} has another size at the destination than here", operation=str(self.folder)
            )

    def _withdraw_earlier(self) -> set[str]:
        """Take an earlier manifest away before its files are overwritten; return their names."""
        try:
            earlier = read_manifest(self.folder)
        except VismaContentError:
            earlier = {}
        if earlier is None:
            return set()
        manifest = self.folder / MANIFEST_NAME
        with suppress(FileNotFoundError):
            manifest.fs.rm_file(manifest.path)
        names = {str(file["uri"]).rsplit("/", 1)[-1] for file in earlier.get("files", [])}
        return {name for name in names if _FILE_NAME.fullmatch(name)}

    def _remove_stale(self, names: set[str]) -> None:
        for name in names:
            with suppress(FileNotFoundError):
                stale = self.folder / name
                stale.fs.rm_file(stale.path)

    def _check_reachable(self) -> None:
        """Find out before anything is asked of a service that its answer could not be kept.

        :raises VismaError: it could not.
        """
        advice = "Nothing was begun; a retry looks again."
        with store_errors(self.folder, problem="nothing can be written there", advice=advice):
            try:
                content(self.folder / MANIFEST_NAME)
            except FileNotFoundError as error:
                if lacks_container(error):
                    raise

    def _claimed_directory(self) -> tuple[Path, int]:
        """Return a new private directory and the lock that says its owner lives."""
        while True:
            directory = Path(tempfile.mkdtemp(prefix=self._prefix, dir=self._staging_parent))
            (directory / _CLAIM).touch(mode=0o600)
            try:
                claim = _try_lock(directory)
            except OSError:  # a file system without locks, so nobody takes it for a leftover either
                return directory, os.open(directory, os.O_RDONLY)
            # Another publication may have taken it for a leftover before the lock was ours.
            if claim is not None and (directory / _CLAIM).exists():
                return directory, claim

    def _remove_leftovers(self) -> None:
        for directory in self._staging_parent.glob(f"{self._prefix}*"):
            with suppress(OSError):
                claim = _try_lock(directory)
                if claim is not None:
                    _remove(directory, claim)

    def _terminate(self, signum: int, frame: FrameType | None) -> None:
        # Threads may still be writing, and SIGKILL follows in seconds: the files go first.
        shutil.rmtree(self._directory, ignore_errors=True)
        if callable(self._previous_handler):
            self._previous_handler(signum, frame)
        raise SystemExit(128 + signum)


def read_manifest(
    folder: ObjectStoragePath, *, advice: str = "A retry reads it again."
) -> dict[str, Any] | None:
    """Return the manifest of *folder*, or None where nothing (whole) was published.

    :param advice: what to do where the store fails.
    :raises VismaContentError: there is one, and it is not a JSON object.
    :raises VismaError: the store failed or refuses.
    """
    path = folder / MANIFEST_NAME
    with store_errors(path, problem="the manifest could not be read", advice=advice):
        try:
            text = content(path)
        except FileNotFoundError:
            return None
    try:
        manifest = json.loads(text)
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict):
        raise VismaContentError("the manifest is not a JSON object", operation=str(path))
    return manifest


def place(address: str) -> ObjectStoragePath:
    """Return an address as the place that it names.

    :raises VismaRequestError: it names none, or one that is another on every worker.
    """
    from airflow.sdk import ObjectStoragePath

    scheme, separator, rest = str(address or "").partition("://")
    if not separator:
        scheme, rest = "file", scheme
    if scheme in ("file", "local") and not rest.startswith("/"):
        raise VismaRequestError(
            "an address of files is empty, or relative to wherever the worker runs",
            advice="Write it like file:///data/visma or s3://aws_default@bucket/visma.",
        )
    try:
        path = ObjectStoragePath(address)
        path.fs  # noqa: B018 - asks whether there is one
    except (ValueError, ImportError):
        raise VismaRequestError(
            f"nothing is installed for addresses that begin with {scheme[:40]}://",
            advice="They come with Airflow's provider of that store, as s3:// with "
            "apache-airflow-providers-amazon[s3fs].",
        ) from None
    except Exception as error:
        raise store_error(
            error,
            path,
            problem="the store cannot be reached",
            advice="Nothing was begun; a retry looks again.",
        ) from error
    return path


def run_folder(destination: str, name: str, *, run_id: str) -> ObjectStoragePath:
    """Return the folder for the files of one export in one run.

    :param name: of the export; a plain path, which the caller has checked.
    """
    # A run id may hold anything; nothing of it may begin another folder.
    return place(destination) / name / f"run_id={quote(run_id, safe=':+~')}"


def published_earlier(folder: ObjectStoragePath, *, task: str | None, system: str) -> dict[str, Any] | None:
    """Return the manifest of what an earlier try of *task* published, None where there is none (whole).

    :param task: ``<dag id>.<task id>``; None where nobody else can publish there.
    :raises VismaRequestError: another task published something here in a run of the same name.
    """
    try:
        manifest = read_manifest(folder)
    except VismaContentError:
        return None  # damaged, and about to be written anew
    if manifest and task and (owner := manifest.get("task", task)) != task:
        raise VismaRequestError(
            f"the folder holds what the task {str(owner)[:250]} landed",
            system=system,
            operation=str(folder),
            advice="Give each task that exports the same a destination of its own.",
        )
    return manifest


def stage_jsonl(publication: Publication, name: str, rows: Iterable[Mapping[str, Any]]) -> int:
    """Stage *rows* as one JSON object per line, as they come; return how many there were."""
    count = 0
    with publication.stage(name) as staged:
        for row in rows:
            staged.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
            count += 1
        staged.rows = count
    return count


def read_jsonl(
    path: ObjectStoragePath, *, advice: str = "A retry reads it again."
) -> Iterator[dict[str, Any]]:
    """Iterate over the objects of a file that :func:`stage_jsonl` wrote.

    :raises FileNotFoundError: there is no such file.
    :raises VismaError: the store failed or refuses.
    """
    for line in lines(path, problem="the file could not be read", advice=advice):
        yield json.loads(line)


def _local_directory(folder: ObjectStoragePath) -> Path | None:
    from fsspec.implementations.local import LocalFileSystem

    return Path(folder.path) if isinstance(folder.fs, LocalFileSystem) else None


def _try_lock(directory: Path) -> int | None:
    """Lock *directory* for the life of this process; return None where somebody else has it.

    The lock is on a file in it that is open for writing: NFS knows no other exclusive ones.

    :raises OSError: this file system has no locks.
    """
    try:
        descriptor = os.open(directory / _CLAIM, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return descriptor


def _remove(directory: Path, claim: int) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    os.close(claim)
    with suppress(OSError):  # where NFS kept the claim under another name while it was open
        directory.rmdir()


def _report_lineage(folder: ObjectStoragePath) -> None:
    from airflow.sdk.lineage import get_hook_lineage_collector

    get_hook_lineage_collector().add_output_asset(context=folder, uri=str(folder))
