"""A 500 MB export, downloaded through the hook and by curl, in turns.

Ours does more: it hashes, counts records, reads the header, and publishes with a manifest. curl only
writes what comes.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from visma_sandbox.client import SandboxProcess, start_sandbox

ROUNDS = 5
SIZES = (50_000_000, 500_000_000)
DATASET = "benchmark"


def land(job_id: str, folder: str) -> dict[str, float]:
    """Land the files of a job, as a task does it; return seconds and the growth of memory."""
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visma.hooks.hrm import VismaHrmHook
    from airflow_provider_visma.hrm_landing import Landing

    hook = VismaHrmHook()
    job = hook.get_job(DATASET, job_id)
    landing = Landing(folder=ObjectStoragePath(folder))
    _warm_up(landing)
    before = _peak()
    began = time.perf_counter()
    manifest = landing.land(hook, job, changed_after=None)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "bytes": manifest["bytes"], "growth": _peak() - before}


def _warm_up(landing: Any) -> None:
    """Load what Airflow has loaded long before a task comes to its files: plugins, file systems."""
    from airflow.sdk.lineage import get_hook_lineage_collector

    import airflow_provider_visma.hooks.hrm_files  # noqa: F401

    get_hook_lineage_collector()
    assert landing.folder.fs


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _ours(sandbox: SandboxProcess, job_id: str, folder: Path) -> dict[str, float]:
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.downloads", job_id, f"file://{folder}"],
        env={**os.environ, **sandbox.environment(), "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"},
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


def _job(sandbox: SandboxProcess, size: int) -> tuple[str, str]:
    """Return a completed job of that size, and the link to its one file."""
    from airflow_provider_visma.hooks.hrm import VismaHrmHook

    sandbox.settings(hrm_benchmark_bytes=size, hrm_job_polls=0)
    os.environ.update(sandbox.environment())
    hook = VismaHrmHook()
    job_id = hook.start_export(DATASET)
    return job_id, hook.get_job(DATASET, job_id).file_uris[0]


def _figures(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f})"


def main() -> None:
    """Print medians of both, and whether memory grows with the file."""
    folder = Path(tempfile.mkdtemp(prefix="visma-benchmark-"))
    try:
        with start_sandbox(employees=10) as sandbox:
            for size in SIZES:
                job_id, link = _job(sandbox, size)
                curl, ours, growth = [], [], []
                for _ in range(ROUNDS):
                    curl.append(_curl(link, folder / "curl.csv"))
                    measured = _ours(sandbox, job_id, folder / "ours")
                    assert measured["bytes"] == (folder / "curl.csv").stat().st_size
                    ours.append(measured["seconds"])
                    growth.append(measured["growth"])
                print(
                    f"download of {size // 1_000_000} MB, median (best) of {ROUNDS}:"
                    f" curl {_figures(curl)}, hook {_figures(ours)} with hash and row count,"
                    f" {statistics.median(curl) / statistics.median(ours):.2f} ({min(curl) / min(ours):.2f})"
                    f" times curl's speed; memory grows by {max(growth) / 2**20:.0f} MiB"
                )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(land(sys.argv[1], sys.argv[2])))
    else:
        main()
