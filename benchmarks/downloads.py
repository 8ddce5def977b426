"""A 500 MB export, downloaded by curl, by our download alone, through the hook and by an operator, in turns.

curl only writes what comes, and so does our download alone: like beside like. The hook also hashes and lets
the file appear when it is whole; an operator reads the header, counts the records and writes a manifest
besides. What hashing costs by itself is shown too: nothing that hashes can be faster.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.memory import peak_mib
from visma_sandbox.client import SandboxProcess, start_sandbox

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visma.export_jobs import ExportJob
    from airflow_provider_visma.hooks.hrm import VismaHrmHook

ROUNDS = 7
WAYS = ("download", "hook", "operator")
SIZES = (50_000_000, 500_000_000)
DATASET = "benchmark"
GOAL_GROWTH = 32.0  # MiB


def download(way: str, job_id: str, folder: ObjectStoragePath) -> dict[str, float]:
    """Download the files of a job in this process; return seconds, bytes and the MiB that memory grew by.

    :param way: one of ``WAYS``.
    """
    from airflow_provider_visma.hooks.hrm import VismaHrmHook

    hook = VismaHrmHook()
    job = hook.get_job(DATASET, job_id)
    run = {"download": _alone, "hook": _by_hook, "operator": _by_operator}[way]
    _warm_up()
    before = peak_mib()
    began = time.perf_counter()
    size = run(hook, job, folder)
    return {"seconds": time.perf_counter() - began, "bytes": size, "growth": peak_mib() - before}


class _PlainFile:
    """A sink that does what curl does."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()

    def __enter__(self) -> _PlainFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def _alone(hook: VismaHrmHook, job: ExportJob, folder: ObjectStoragePath) -> int:
    from airflow_provider_visma.hooks.hrm_files import download_job

    target = Path(folder.path)
    download_job(hook, job, open_part=lambda number: _PlainFile(target))
    return target.stat().st_size


def _by_hook(hook: VismaHrmHook, job: ExportJob, folder: ObjectStoragePath) -> int:
    from airflow_provider_visma.hooks.hrm_files import download_job
    from airflow_provider_visma.storage import Publication

    with Publication(folder) as publication:
        download_job(hook, job, open_part=lambda number: publication.stage(f"part-{number:04d}.csv"))
        size: int = publication.publish({})["bytes"]
        return size


def _by_operator(hook: VismaHrmHook, job: ExportJob, folder: ObjectStoragePath) -> int:
    from airflow_provider_visma.hrm_landing import Landing

    size: int = Landing(folder=folder).land(hook, job, changed_after=None)["bytes"]
    return size


def _warm_up() -> None:
    """Publish something, for what a process loads once: plugins, file systems, asset handlers."""
    from airflow.sdk import ObjectStoragePath

    import airflow_provider_visma.hooks.hrm_files
    import airflow_provider_visma.hrm_landing  # noqa: F401
    from airflow_provider_visma.storage import Publication

    with (
        tempfile.TemporaryDirectory() as elsewhere,
        Publication(ObjectStoragePath(f"file://{elsewhere}/warm")) as publication,
    ):
        publication.publish({})


def _ours(sandbox: SandboxProcess, way: str, job_id: str, folder: Path) -> dict[str, float]:
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.downloads", way, job_id, f"file://{folder}"],
        env={**os.environ, **sandbox.environment()},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    measured: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return measured


def _curl(link: str, target: Path) -> float:
    began = time.perf_counter()
    subprocess.run(["curl", "--silent", "--fail", "--output", str(target), link], check=True)
    return time.perf_counter() - began


def _curl_hashed(link: str, target: Path) -> float:
    began = time.perf_counter()
    hashed = f"curl --silent --fail '{link}' | tee '{target}' | sha256sum"
    subprocess.run(hashed, shell=True, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _job(sandbox: SandboxProcess, size: int) -> tuple[str, str]:
    """Return a completed job of that size, and the link to its one file."""
    from airflow_provider_visma.hooks.hrm import VismaHrmHook

    sandbox.settings(hrm_benchmark_bytes=size, hrm_job_polls=0)
    os.environ.update(sandbox.environment())
    hook = VismaHrmHook()
    job_id = hook.start_export(DATASET)
    return job_id, hook.get_job(DATASET, job_id).file_uris[0]


def main() -> int:
    """Print all, and return how many goals were missed."""
    folder = Path(tempfile.mkdtemp(prefix="visma-benchmark-"))
    try:
        with start_sandbox(employees=10) as sandbox:
            comparisons = [_compare(sandbox, folder, size) for size in SIZES]
    finally:
        shutil.rmtree(folder)
    growths, medians = zip(*comparisons, strict=True)
    large = medians[-1]
    missed = [
        goal
        for goal, met in (
            ("the download as fast as curl", large["download"] <= large["curl"]),
            ("the hook as fast as curl and a hash", large["hook"] <= large["curl | sha256sum"]),
            ("constant memory", max(growths) < GOAL_GROWTH),
        )
        if not met
    ]
    print(f"  missed: {', '.join(missed)}" if missed else "  all goals met", flush=True)
    return len(missed)


def _compare(sandbox: SandboxProcess, folder: Path, size: int) -> tuple[float, dict[str, float]]:
    """Download a file of that size in turns; return the MiB that memory grew by and the median seconds."""
    job_id, link = _job(sandbox, size)
    ways: dict[str, Callable[[Path], float]] = {
        "curl": lambda target: _curl(link, target),
        "curl | sha256sum": lambda target: _curl_hashed(link, target),
    }
    seconds: dict[str, list[float]] = {name: [] for name in (*ways, *WAYS, "SHA-256 alone")}
    growth = 0.0
    for _ in range(ROUNDS):
        for name, run in ways.items():
            with _room(folder) as room:
                seconds[name].append(run(room / "file"))
                sent = (room / "file").stat().st_size
        for way in WAYS:
            with _room(folder) as room:
                measured = _ours(sandbox, way, job_id, room / "file")
            assert measured["bytes"] == sent
            seconds[way].append(measured["seconds"])
            growth = max(growth, measured["growth"])
        seconds["SHA-256 alone"].append(_hash(size))
    print(f"Download of {size // 1_000_000} MB, median of {ROUNDS} (best); memory grows by {growth:.0f} MiB")
    for name, took in seconds.items():
        print(f"  {name:16} {statistics.median(took):.2f} s ({min(took):.2f})", flush=True)
    return growth, {name: statistics.median(took) for name, took in seconds.items()}


@contextmanager
def _room(folder: Path) -> Iterator[Path]:
    """Lend an empty folder: whoever overwrites a large file pays for the old one."""
    room = Path(tempfile.mkdtemp(dir=folder))
    yield room
    shutil.rmtree(room)


def _hash(size: int) -> float:
    piece = bytes(2**20)
    digest = hashlib.sha256()
    began = time.perf_counter()
    for _ in range(size // len(piece)):
        digest.update(piece)
    return time.perf_counter() - began


if __name__ == "__main__":
    if len(sys.argv) == 4:
        from airflow.sdk import ObjectStoragePath

        print(json.dumps(download(sys.argv[1], sys.argv[2], ObjectStoragePath(sys.argv[3]))))
    else:
        raise SystemExit(main())
